import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the proxy answers in the server's place. */
export type Meddling = { status: number; headers?: Record<string, string>; body: string }

/** Passes requests and answers on as they come, streams too, but for those of which `meddle` makes something else. */
export class MeddlingProxy implements AsyncDisposable {
  /** `METHOD path?query` of all requests that were answered or passed on. */
  readonly requests: string[] = []
  readonly #open = new Set<string>()
  meddle: (incoming: IncomingMessage) => Meddling | undefined = () => undefined
  readonly #server = createServer((incoming, response) => this.#serve(incoming, response))
  readonly #target: string

  private constructor(target: string) {
    this.#target = target
  }

  static async before(target: string): Promise<MeddlingProxy> {
    const proxy = new MeddlingProxy(target)
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Those that are being answered. */
  get open(): string[] {
    return [...this.#open]
  }

  /** Ends all connections. */
  cut(): void {
    this.#server.closeAllConnections()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    const line = `${incoming.method} ${incoming.url}`
    this.requests.push(line)
    this.#open.add(line)
    response.on('close', () => this.#open.delete(line))
    const { status, headers, body } = this.meddle(incoming) ?? {}
    if (status !== undefined) {
      incoming.resume()
      response.writeHead(status, headers).end(body)
      return
    }
    const { method, headers: sent } = incoming
    const outgoing = request(
      new URL(incoming.url ?? '', this.#target),
      { method, headers: sent },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.on('error', () => response.destroy()).pipe(response)
      },
    )
    outgoing.on('error', () => response.destroy())
    response.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  }
}
