import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { vapidFlaw } from './push-crypto.ts'
import { trustedLocalhost } from './trusted-localhost.ts'

type Channel = { id: string; uaid: string; key: string }
type Notification = { channelID: string; version: string; data: string; topic: string | undefined }
type Request = { messageType?: string; uaid?: string; channelID?: string; key?: string }

/**
 * The push service of a Firefox: RFC 8030 for who sends, checking VAPID (RFC 8292), and the browser's own protocol over a
 * WebSocket. It decrypts nothing. What cannot be delivered waits, the newest of each topic.
 */
export class WebPushService implements AsyncDisposable {
  readonly #posts = createSecureServer(trustedLocalhost())
  /** Firefox takes a push service without TLS in tests, but no certificate of its own. */
  readonly #browsers = createServer()
  readonly #sockets = new Map<string, WebSocket>()
  readonly #channels = new Map<string, Channel>()
  readonly #waiting = new Map<string, Notification[]>()

  private constructor() {
    this.#posts.on('request', async (request, response) => {
      response.writeHead(await this.#take(request), { Location: `${this.url}/message/${randomUUID()}` }).end()
    })
    const sockets = new WebSocketServer({
      server: this.#browsers,
      handleProtocols: () => 'push-notification',
    })
    sockets.on('connection', (socket) => this.#greet(socket))
  }

  static async start(): Promise<WebPushService> {
    const service = new WebPushService()
    for (const server of [service.#posts, service.#browsers]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    return service
  }

  /** Where pushes are sent to. */
  get url(): string {
    return `https://127.0.0.1:${(this.#posts.address() as AddressInfo).port}`
  }

  /** The preferences that make a Firefox receive its pushes from here. */
  get preferences(): Record<string, unknown> {
    return {
      'dom.push.enabled': true,
      'dom.push.connection.enabled': true,
      'dom.push.testing.allowInsecureServerURL': true,
      'dom.push.serverURL': `ws://127.0.0.1:${(this.#browsers.address() as AddressInfo).port}/`,
      'dom.push.retryBaseInterval': 200,
      'permissions.default.desktop-notification': 1,
      'dom.webnotifications.requireuserinteraction': false,
      'alerts.useSystemBackend': false,
    }
  }

  /** Browsers that are connected. */
  get browsers(): number {
    return this.#sockets.size
  }

  /** The endpoints that are subscribed. */
  get endpoints(): string[] {
    return [...this.#channels.keys()].map((id) => `${this.url}/push/${id}`)
  }

  /** Forgets all browsers, which are told so when they come back: each subscribes anew. */
  rotate(): void {
    this.#channels.clear()
    // After a clean close Firefox stays away until it has something to ask.
    for (const socket of this.#sockets.values()) socket.terminate()
    this.#sockets.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.values()) socket.terminate()
    for (const server of [this.#posts, this.#browsers]) {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }

  async #take(request: IncomingMessage): Promise<number> {
    const body = Buffer.concat(await request.toArray())
    const { authorization = '', topic, ttl, 'content-encoding': encoding } = request.headers
    const channel = this.#channels.get((request.url ?? '').replace('/push/', ''))
    if (!channel) return 410
    if (ttl === undefined || encoding !== 'aes128gcm') return 400
    if (body.length > 4096) return 413
    if (vapidFlaw(authorization, this.url, channel.key) !== undefined) return 403
    const data = body.toString('base64url')
    this.#deliver(channel, { channelID: channel.id, version: randomUUID(), data, topic: topic?.toString() })
    return 201
  }

  #deliver(channel: Channel, notification: Notification): void {
    const waiting = this.#waiting.get(channel.uaid) ?? []
    const isSame = ({ channelID, topic }: Notification) =>
      topic !== undefined && topic === notification.topic && channelID === notification.channelID
    this.#waiting.set(channel.uaid, [...waiting.filter((each) => !isSame(each)), notification])
    this.#flush(channel.uaid)
  }

  #flush(uaid: string): void {
    const socket = this.#sockets.get(uaid)
    if (socket?.readyState !== socket?.OPEN) return
    for (const { topic: _, ...notification } of this.#waiting.get(uaid) ?? []) {
      const headers = { encoding: 'aes128gcm' }
      socket?.send(JSON.stringify({ messageType: 'notification', ttl: 60, headers, ...notification }))
    }
    this.#waiting.delete(uaid)
  }

  #greet(socket: WebSocket): void {
    let uaid = ''
    socket.on('close', () => {
      if (this.#sockets.get(uaid) === socket) this.#sockets.delete(uaid)
    })
    socket.on('message', (text) => {
      const request = JSON.parse(String(text)) as Request
      const { messageType, channelID = '' } = request
      const reply = (more: object) => socket.send(JSON.stringify({ messageType, status: 200, ...more }))
      if (messageType === 'hello') {
        const isKnown = [...this.#channels.values()].some((channel) => channel.uaid === request.uaid)
        uaid = isKnown && request.uaid ? request.uaid : randomUUID().replaceAll('-', '')
        this.#sockets.set(uaid, socket)
        reply({ uaid, use_webpush: true, broadcasts: {} })
        this.#flush(uaid)
      } else if (messageType === 'register') {
        // Firefox pads it.
        const key = (request.key ?? '').replace(/=+$/, '')
        this.#channels.set(channelID, { id: channelID, uaid, key })
        reply({ channelID, pushEndpoint: `${this.url}/push/${channelID}` })
      } else if (messageType === 'unregister') {
        this.#channels.delete(channelID)
        reply({ channelID })
      } else if (messageType === undefined) socket.send('{}')
    })
  }
}
