import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

type Whole = { status: number; headers: Record<string, string>; body: Buffer }

const HTML = '<html><title>Wi-Fi</title>\ndata: please pay\n\n</html>\n'

/** What a bad box makes of an answer, one after the other. */
const INTERFERENCES: ((response: ServerResponse, answer: Whole) => void)[] = [
  (response) => response.writeHead(200, { 'content-type': 'text/html' }).end(HTML),
  // Cut in the middle, and nothing says so.
  (response, { headers, body }) =>
    response.writeHead(200, headers).end(body.subarray(0, Math.floor(body.length * 0.6))),
  (response, { headers, body }) => {
    response.writeHead(200, { ...headers, 'content-length': body.length })
    response.write(body.subarray(0, Math.floor(body.length * 0.9)), () => response.destroy())
  },
  (response) => response.writeHead(200).end(),
  (response) => response.writeHead(502, { 'content-type': 'text/html' }).end(HTML),
  (response) =>
    response
      .writeHead(401, { 'content-type': 'application/problem+json' })
      .end('{"code":"unauthorized","status":401}'),
]

/** Stands before a gateway, hands answers on when they are whole, and spoils every other one. */
export class InterferingProxy implements AsyncDisposable {
  readonly #server: Server
  #target: string
  #answers = 0

  private constructor(target: string) {
    this.#target = target
    this.#server = createServer(async (incoming, response) => {
      try {
        await this.#hand(incoming, response)
      } catch {
        response.destroy()
      }
    })
  }

  static async before(url: string): Promise<InterferingProxy> {
    const proxy = new InterferingProxy(url)
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Whether it did all it can do. */
  get hasPlayedAll(): boolean {
    return this.#answers >= 2 * INTERFERENCES.length
  }

  /** Requests go to this gateway from now on. */
  repoint(url: string): void {
    this.#target = url
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #hand(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const { method = 'GET', url = '', headers } = incoming
    const sent = await text(incoming)
    const answer = await fetch(this.#target + url, {
      method,
      headers: { cookie: headers.cookie ?? '', 'content-type': headers['content-type'] ?? '' },
      ...(sent !== '' && { body: sent }),
      signal: gone.signal,
    })
    const whole = {
      status: answer.status,
      headers: { 'content-type': answer.headers.get('content-type') ?? '' },
      body: Buffer.from(await answer.arrayBuffer()),
    }
    this.#answers += 1
    // A whole number at every other answer alone.
    const interference = INTERFERENCES[(this.#answers / 2) % INTERFERENCES.length]
    if (!interference) response.writeHead(whole.status, whole.headers).end(whole.body)
    else interference(response, whole)
  }
}
