import { Agent, type IncomingMessage, request } from 'node:http'

type Answer = { status: number; closes: boolean }

/**
 * One connection kept alive, as HTTP has it: on to the next node when this one closes after an answer, or refuses. A
 * request that gets no answer may have been done: it is repeated if it has a key, else it has failed.
 */
export class KeepAliveClient implements Disposable {
  /** Requests sent again as they got no answer. */
  repeats = 0
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #bases: readonly string[]
  #node: number

  constructor(bases: readonly string[], first = 0) {
    this.#bases = bases
    this.#node = first
  }

  /** Resolves with the status. Rejects with what became of the request, or when no node accepts it. */
  async post(path: string, headers: Record<string, string>, body: object): Promise<number> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const { status, closes } = await this.#send(
          this.#bases[this.#node] + path,
          headers,
          JSON.stringify(body),
        )
        if (closes) this.#moveOn()
        return status
      } catch (error) {
        const wasRefused = (error as { code?: string }).code === 'ECONNREFUSED'
        const mayRepeat = wasRefused || headers['idempotency-key'] !== undefined
        if (!mayRepeat || attempt > this.#bases.length) throw error
        if (!wasRefused) this.repeats += 1
        this.#moveOn()
      }
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  #moveOn(): void {
    this.#node = (this.#node + 1) % this.#bases.length
  }

  #send(url: string, headers: Record<string, string>, body: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const lengths = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const options = { method: 'POST', agent: this.#agent, headers: { ...headers, ...lengths } }
      const sent = request(url, options, (response: IncomingMessage) => {
        const closes = response.headers.connection === 'close'
        response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, closes }))
        response.on('error', reject)
      })
      sent.on('error', (error) => reject(Object.assign(error, { reused: sent.reusedSocket })))
      sent.end(body)
    })
  }
}
