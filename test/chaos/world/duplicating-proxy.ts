import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Answer = { status: number; headers: Record<string, string>; body: Buffer }

/** A proxy that sends each request twice, on connections of their own, and passes on the answer that comes last. */
export class DuplicatingProxy implements AsyncDisposable {
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response))
  readonly #target: string

  private constructor(target: string) {
    this.#target = target.replace(/\/$/, '')
  }

  static async before(target: string): Promise<DuplicatingProxy> {
    const proxy = new DuplicatingProxy(target)
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    try {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk)
      const body = Buffer.concat(chunks)
      const outcomes = await Promise.allSettled([
        this.#forward(incoming, body),
        this.#forward(incoming, body),
      ])
      const answer = outcomes.findLast((outcome) => outcome.status === 'fulfilled')?.value
      if (answer) response.writeHead(answer.status, answer.headers).end(answer.body)
      else response.destroy()
    } catch {
      response.destroy()
    }
  }

  #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
    const { authorization, 'content-type': type, 'idempotency-key': key } = headers
    const kept = { authorization, 'content-type': type, ...(key !== undefined && { 'idempotency-key': key }) }
    const sent = {
      method,
      headers: { ...kept, 'content-length': body.length },
      agent: false,
      timeout: 15_000,
    }
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#target + url, sent as object, async (answer) => {
        try {
          const chunks: Buffer[] = []
          for await (const chunk of answer) chunks.push(chunk)
          const names = ['content-type', 'retry-after', 'idempotent-replayed']
          const passed = names.flatMap((name) => {
            const value = answer.headers[name]
            return value === undefined ? [] : [[name, String(value)]]
          })
          const whole = Buffer.concat(chunks)
          const fields = { ...Object.fromEntries(passed), 'content-length': String(whole.length) }
          resolve({ status: answer.statusCode ?? 502, headers: fields, body: whole })
        } catch (error) {
          reject(error)
        }
      })
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')))
      outgoing.on('error', reject).end(body)
    })
  }
}
