import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { PushPayload } from '../../src/push/push.ts'
import { type Person, vapidKeyOf } from './person.ts'
import { decrypt, newReceiver, type Receiver, vapidFlaw } from './push-crypto.ts'
import { trustedLocalhost } from './trusted-localhost.ts'

/** A push as it came in, whether it was accepted or not. */
export type ReceivedPush = {
  payload: PushPayload
  headers: IncomingHttpHeaders
  /** Encrypted. */
  bytes: number
  /** The connection it came on: 1, 2, 3 … */
  connection: number
  at: number
}

/** What it does instead of accepting: an answer, or something worse. */
export type Answer = (response: ServerResponse, incoming: IncomingMessage) => void

/** A browser that has subscribed: what a gateway is given, and what came. */
export class SubscribedBrowser {
  readonly endpoint: string
  readonly receiver: Receiver = newReceiver(randomBytes(16))
  readonly vapidPublicKey: string
  /** All that came, in order. */
  readonly pushes: ReceivedPush[] = []
  /** What a browser that comes back now is given: of each topic the last (RFC 8030, 5.4). */
  readonly waiting: ReceivedPush[] = []
  /** Answers of the next requests; when they are used up, `always` if there is one, else 201. */
  readonly next: Answer[] = []
  always: Answer | undefined

  constructor(endpoint: string, vapidPublicKey: string) {
    this.endpoint = endpoint
    this.vapidPublicKey = vapidPublicKey
  }

  /** What `PUT /v1/devices/current/push-subscription` takes. */
  toJSON() {
    const p256dh = this.receiver.pair.getPublicKey('base64url')
    const auth = this.receiver.auth.toString('base64url')
    return { endpoint: this.endpoint, expirationTime: null, keys: { p256dh, auth } }
  }
}

/** A push service (RFC 8030) over real HTTPS that checks signatures, decrypts by itself, and misbehaves on demand. */
export class PushService implements AsyncDisposable {
  /** For gateways in processes of their own: what makes them trust its certificate. */
  static readonly environment = {
    NODE_EXTRA_CA_CERTS: fileURLToPath(new URL('localhost.crt', import.meta.url)),
  }
  readonly #server = createServer(trustedLocalhost())
  readonly #browsers = new Map<string, SubscribedBrowser>()
  #connections = 0
  /** What was asked of it against an RFC, and what was asked for that it knows nothing of. */
  readonly flaws: string[] = []

  private constructor() {
    this.#server.on('secureConnection', (socket) => {
      this.#connections += 1
      Object.assign(socket, { number: this.#connections })
    })
    this.#server.on('request', (incoming, response) => void this.#serve(incoming, response))
  }

  /** From then on this thread trusts its certificate. */
  static async start(host = '127.0.0.1'): Promise<PushService> {
    const service = new PushService()
    await new Promise<void>((resolve) => service.#server.listen(0, host, resolve))
    return service
  }

  /** Connections so far. */
  get connections(): number {
    return this.#connections
  }

  get origin(): string {
    const { address, port } = this.#server.address() as AddressInfo
    return `https://${address}:${port}`
  }

  /** A browser that subscribed with the public key of a gateway. */
  subscribe(vapidPublicKey: string): SubscribedBrowser {
    const path = `/push/${randomBytes(24).toString('base64url')}`
    const browser = new SubscribedBrowser(this.origin + path, vapidPublicKey)
    this.#browsers.set(path, browser)
    return browser
  }

  /** A browser of somebody, registered with their gateway. `agent`: its User-Agent. */
  async browserOf(person: Person, agent = ''): Promise<SubscribedBrowser> {
    const browser = this.subscribe(await vapidKeyOf(person.base))
    const path = '/v1/devices/current/push-subscription'
    const answer = await person.call('PUT', path, browser.toJSON(), agent ? { 'user-agent': agent } : {})
    if (answer.status !== 204) throw new Error(`not subscribed: ${answer.text}`)
    return browser
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const browser = this.#browsers.get(incoming.url ?? '')
    if (!browser) {
      this.flaws.push(`${incoming.method} for nothing that there is`)
      response.writeHead(404).end()
      return
    }
    const body = await buffer(incoming)
    const { authorization } = incoming.headers
    const refusal = vapidFlaw(authorization, this.origin, browser.vapidPublicKey)
    if (refusal !== undefined) {
      this.flaws.push(refusal)
      response.writeHead(403).end(refusal)
      return
    }
    try {
      this.#receive(browser, incoming, body)
    } catch (error) {
      this.flaws.push(String(error))
      response.writeHead(400).end()
      return
    }
    const answer = browser.next.shift() ?? browser.always ?? accept
    answer(response, incoming)
  }

  #receive(browser: SubscribedBrowser, incoming: IncomingMessage, body: Buffer): void {
    const { headers, method, socket } = incoming
    if (method !== 'POST' || headers['content-encoding'] !== 'aes128gcm') throw new Error('not a push')
    if (!/^\d+$/.test(String(headers.ttl))) throw new Error(`TTL is ${headers.ttl}`)
    if (!/^(very-low|low|normal|high)$/.test(String(headers.urgency))) {
      throw new Error(`Urgency is ${headers.urgency}`)
    }
    const { topic } = headers
    if (topic !== undefined && !/^[\w-]{1,32}$/.test(String(topic))) throw new Error(`Topic is ${topic}`)
    const payload = JSON.parse(decrypt(body, browser.receiver).toString()) as PushPayload
    const { number: connection } = socket as unknown as { number: number }
    const push = { payload, headers, bytes: body.length, connection, at: Date.now() }
    browser.pushes.push(push)
    const same = browser.waiting.findIndex((each) => topic !== undefined && each.headers.topic === topic)
    if (same >= 0) browser.waiting.splice(same, 1)
    browser.waiting.push(push)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

const accept: Answer = (response) => response.writeHead(201, { Location: '/message/1' }).end()

export const answer =
  (status: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body)

/** Takes the push and never says so. */
export const silent: Answer = () => {}

/** The first half of an answer. */
export const hangUp: Answer = (_, { socket }) => socket.write('HTTP/1.1 201 Cre', () => socket.destroy())

/** A body that has no end. */
export const endless =
  (status: number): Answer =>
  (response) => {
    response.writeHead(status)
    const more = () => {
      while (!response.destroyed && response.write('all work and no play '.repeat(500)));
    }
    response.on('drain', more)
    more()
  }

/** An accepted push whose body trickles and never ends. */
export const trickle: Answer = (response) => {
  response.writeHead(201)
  response.write('.')
}
