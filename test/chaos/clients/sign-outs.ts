import { DeviceLog } from '../history/device-log.ts'
import type { SignOutRecord } from '../history/history.ts'
import { Names } from '../history/names.ts'
import type { Random } from '../random.ts'
import type { Campaign } from './campaign.ts'
import { EventStream, HEARTBEAT_S } from './event-stream.ts'
import { InboxReader } from './inbox-reader.ts'
import { type Person, type Society, signIn } from './people.ts'
import type { Session } from './session.ts'

const PATIENCE_MS = 30_000

/** Signs people in on one more device and out again, and watches its stream end. */
export class SignOuts {
  readonly #campaign: Campaign
  readonly #society: Society
  readonly #random: Random

  constructor(campaign: Campaign, society: Society) {
    this.#campaign = campaign
    this.#society = society
    this.#random = campaign.random.fork('sign-outs')
  }

  async run(everyMs: number): Promise<void> {
    while (!this.#campaign.running.aborted) {
      await this.#once(this.#random.pick(this.#society.people))
      await this.#campaign.pause(this.#random.between(0.5, 1.5) * everyMs)
    }
  }

  async #once({ username, devices }: Person): Promise<void> {
    const session = await signIn(this.#campaign, username)
    const stream = await this.#open(session)
    const { session: other } = this.#random.pick(devices)
    const path = `/v1/sessions/${session.deviceId}`
    await other.askUntil({ method: 'DELETE', path })
    const record: SignOutRecord = {
      device: session.deviceId,
      answeredAt: performance.now(),
      endedAt: undefined,
    }
    this.#campaign.recorder.signOuts.push(record)
    const deadline = record.answeredAt + PATIENCE_MS
    const timer = setTimeout(() => stream.end('hopped'), PATIENCE_MS)
    await stream.ended
    clearTimeout(timer)
    while (performance.now() < deadline) {
      if (!(await this.#works(session))) {
        record.endedAt = performance.now()
        return
      }
      await this.#campaign.pause(250)
    }
  }

  /** A stream of its own, which resolves once it is open. */
  async #open(session: Session): Promise<EventStream> {
    for (let node = this.#random.below(this.#campaign.nodeCount); ; node = this.#campaign.otherNode(node)) {
      // Not a device of the campaign: it begins at the head and nobody asks what it saw.
      const reader = new InboxReader(
        this.#campaign,
        new DeviceLog(session.user, session.deviceId, new Names()),
        '',
      )
      const connection = reader.begin('sse', node)
      const url = `${this.#campaign.addressOf(node)}/v1/events?as=sse&heartbeat=${HEARTBEAT_S}`
      const stream = new EventStream(reader, connection, url, session.accessToken)
      await Promise.race([stream.opened, stream.ended])
      if (connection.end === 'open') return stream
      this.#campaign.patience.throwIfAborted()
      await this.#campaign.pause(200)
    }
  }

  /** Whether the token opens anything still, on any node. */
  async #works(session: Session): Promise<boolean> {
    for (let node = 0; node < this.#campaign.nodeCount; node += 1) {
      const url = `${this.#campaign.addressOf(node)}/v1/users/me`
      const request = { method: 'GET', url, token: session.accessToken, timeoutMs: 5_000 }
      const answer = await this.#campaign.http.call(request).catch(() => undefined)
      if (answer?.status === 200) return true
    }
    return false
  }
}
