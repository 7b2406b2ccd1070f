import type { Campaign } from './campaign.ts'
import type { HttpAnswer, HttpRequest } from './http-client.ts'

export type Signed = { user: { id: string }; device_id: string; access_token: string; refresh_token: string }
export type Ask = Omit<HttpRequest, 'token' | 'url'> & { path: string; node: number; isSend?: boolean }

/** A signed-in device: its tokens, renewed when they expire. */
export class Session {
  readonly user: string
  readonly deviceId: string
  accessToken: string
  readonly #campaign: Campaign
  #refreshToken: string
  #refreshing: Promise<void> | undefined

  constructor(campaign: Campaign, signed: Signed) {
    this.#campaign = campaign
    this.user = signed.user.id
    this.deviceId = signed.device_id
    this.accessToken = signed.access_token
    this.#refreshToken = signed.refresh_token
  }

  /** One try on one node. Renews an expired token and asks again. Rejects when there is no whole answer. */
  async ask(given: Ask): Promise<HttpAnswer> {
    const { path, node, isSend = false, ...rest } = given
    const token = this.accessToken
    const url = this.#campaign.addressOf(node, isSend) + path
    const answer = await this.#campaign.http.call({ ...rest, url, token })
    this.#campaign.judgeAnswer(answer, `${given.method} ${path}`)
    if (answer.status !== 401) return answer
    if (token === this.accessToken) await this.renew()
    return this.ask(given)
  }

  /** Repeats on one node after the other until `isFinal` likes the answer. Rejects when the campaign's patience ends. */
  async askUntil(
    given: Omit<Ask, 'node' | 'timeoutMs'>,
    isFinal: (answer: HttpAnswer) => boolean = isDefinite,
  ): Promise<{ answer: HttpAnswer; tries: number }> {
    const { random } = this.#campaign
    for (let tries = 1, node = random.below(this.#campaign.nodeCount); ; tries += 1) {
      const answer = await this.ask({ ...given, node, timeoutMs: 10_000 }).catch(() => undefined)
      if (answer && isFinal(answer)) return { answer, tries }
      this.#campaign.patience.throwIfAborted()
      await this.#campaign.pause(random.between(100, 600))
      node = this.#campaign.otherNode(node)
    }
  }

  /** Rotates the refresh token; several who ask share one. */
  renew(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    const { random } = this.#campaign
    for (let node = random.below(this.#campaign.nodeCount); ; node = this.#campaign.otherNode(node)) {
      const url = `${this.#campaign.addressOf(node)}/v1/sessions/refresh`
      const body = { refresh_token: this.#refreshToken }
      const request = { method: 'POST', url, body, timeoutMs: 10_000 }
      const answer = await this.#campaign.http.call(request).catch(() => undefined)
      if (answer?.status === 200) {
        const renewed = answer.body as Signed
        this.accessToken = renewed.access_token
        this.#refreshToken = renewed.refresh_token
        return
      }
      if (answer?.status === 401) {
        const detail = `${this.user} ${this.deviceId} at node ${node}: ${JSON.stringify(answer.body)}`
        this.#campaign.recorder.anomaly('a session was lost', detail)
      }
      this.#campaign.patience.throwIfAborted()
      await this.#campaign.pause(random.between(100, 600))
    }
  }
}

/** Answered by the gateway itself, and not with "later". */
function isDefinite({ status }: HttpAnswer): boolean {
  return status < 500 && status !== 429 && status !== 408 && status !== 409
}
