import { once } from 'node:events'
import {
  Agent,
  request as ask,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { buffer } from 'node:stream/consumers'

/** One request on its way through a box, and what a box can do with it. */
export type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Counts the requests of this box from 1 on. */
  readonly count: number
  /** Whether the box is in one of its bad spells, at any moment. */
  readonly isTroubled: boolean
  /** The box's own address. */
  readonly port: number
  /** Asks the server, with some of it changed. Rejects if it does not answer or the client has gone. */
  ask(change?: { path?: string; headers?: IncomingHttpHeaders; body?: Buffer }): Promise<IncomingMessage>
  /** Passes on what stands above an answer, some of it changed (`undefined`: left out). */
  begin(answer: IncomingMessage, changed?: OutgoingHttpHeaders): void
  /** Passes an answer on as it comes. */
  pass(answer: IncomingMessage): void
  /** Says something of the box's own. */
  say(status: number, type: string, text: string, headers?: Record<string, string>): void
}

/** What a box does to each exchange; called once per box. */
export type Behaviour = () => (exchange: Exchange) => unknown

/** A box of ours that speaks HTTP, in front of the server of `origin`. */
export class HttpBox implements AsyncDisposable {
  readonly server: Server
  readonly #agent = new Agent({ keepAlive: true })
  readonly #sockets = new Set<Socket>()
  #isTroubled = false
  #count = 0

  private constructor(origin: string, behaviour: Behaviour) {
    const act = behaviour()
    this.server = createServer((request, response) => {
      Promise.resolve(act(this.#exchange(origin, request, response))).catch(() => response.destroy())
    })
    this.server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  static async before(origin: string, behaviour: Behaviour, isTroubled: boolean): Promise<HttpBox> {
    const box = new HttpBox(origin, behaviour)
    box.#isTroubled = isTroubled
    await once(box.server.listen(0, '127.0.0.1'), 'listening')
    return box
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** A bad spell begins, or ends. */
  trouble(isTroubled: boolean): void {
    this.#isTroubled = isTroubled
  }

  /** Resets what is open. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    this.#agent.destroy()
    await closed
  }

  #exchange(origin: string, request: IncomingMessage, response: ServerResponse): Exchange {
    const isTroubled = () => this.#isTroubled
    const begin: Exchange['begin'] = ({ statusCode = 502, headers }, changed) => {
      const all = Object.entries({ ...withoutHops(headers), ...changed })
      const kept = all.filter(([, value]) => value !== undefined)
      response.writeHead(statusCode, Object.fromEntries(kept)).flushHeaders()
    }
    return {
      request,
      response,
      count: ++this.#count,
      get isTroubled() {
        return isTroubled()
      },
      port: this.port,
      ask: (change = {}) => this.#ask(origin, request, response, change),
      begin,
      pass: (answer) => {
        begin(answer)
        pipeline(answer, response, () => {})
      },
      say: (status, type, text, headers) => {
        response.writeHead(status, { 'content-type': type, ...headers }).end(text)
      },
    }
  }

  async #ask(
    origin: string,
    request: IncomingMessage,
    response: ServerResponse,
    { path, headers, body }: { path?: string; headers?: IncomingHttpHeaders; body?: Buffer },
  ): Promise<IncomingMessage> {
    const asked = ask(origin + (path ?? request.url ?? '/'), {
      agent: this.#agent,
      method: request.method ?? 'GET',
      headers: withoutHops(headers ?? request.headers),
    })
    response.once('close', () => asked.destroy())
    asked.on('error', () => response.destroy())
    if (body) asked.end(body)
    else request.pipe(asked)
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    answer.on('error', () => response.destroy())
    return answer
  }
}

/** The whole body of a request or an answer. */
export const whole = (message: IncomingMessage): Promise<Buffer> => buffer(message)

/** What concerns one connection alone is not passed on. */
function withoutHops({
  connection: _,
  'keep-alive': __,
  'transfer-encoding': ___,
  ...rest
}: IncomingHttpHeaders) {
  return rest
}
