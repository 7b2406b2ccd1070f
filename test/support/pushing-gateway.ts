import { once } from 'node:events'
import { createServer } from 'node:http'
import webPush from 'web-push'
import type { Gateway } from '../../src/app.ts'
import type { PushPayload } from '../../src/protocol/push-payload.ts'
import { EndpointGuard } from '../../src/push/endpoint-guard.ts'
import type { PushTarget } from '../../src/push/push.ts'
import { PushSender } from '../../src/push/send.ts'
import { loadVapidKeys, VapidSigner } from '../../src/push/vapid.ts'
import { Database } from '../../src/store/database.ts'
import { startGateway } from './gateway.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'

const LEASE_MS = 2_000
/** It sends nothing by itself while a test runs. */
const NEVER_MS = 600_000

/** A gateway whose pushes a test words and times itself, unless it is to send them by itself after a grace time. */
export class PushingGateway implements AsyncDisposable {
  readonly #postgres: TestPostgres
  readonly #database: Database
  readonly #graceMs: number
  #privateKey = webPush.generateVAPIDKeys().privateKey
  #gateway: Gateway | undefined

  private constructor(postgres: TestPostgres, graceMs: number) {
    this.#postgres = postgres
    this.#graceMs = graceMs
    this.#database = new Database({ url: postgres.url })
  }

  static async start(graceMs = NEVER_MS): Promise<PushingGateway> {
    const started = new PushingGateway(await startPostgres(), graceMs)
    await started.#start(0)
    return started
  }

  get url(): string {
    return this.#gateway?.url ?? ''
  }

  /** Starts it anew at the same address, with another VAPID key. */
  async changeKey(): Promise<void> {
    const { port } = new URL(this.url)
    await this.#gateway?.[Symbol.asyncDispose]()
    this.#privateKey = webPush.generateVAPIDKeys().privateKey
    await this.#start(Number(port))
  }

  /** Away, and in its place a box that answers 503. `asked`: how often for the key. */
  async goAway(): Promise<{ asked(): number; back(): Promise<void> }> {
    const { port } = new URL(this.url)
    await this.#gateway?.[Symbol.asyncDispose]()
    let asked = 0
    const box = createServer((request, response) => {
      if (request.url === '/v1/gateway') asked += 1
      response.writeHead(503, { 'Content-Type': 'text/html' }).end('no')
    })
    box.listen(Number(port), '127.0.0.1')
    await once(box, 'listening')
    return {
      asked: () => asked,
      back: async () => {
        box.closeAllConnections()
        box.close()
        await once(box, 'close')
        await this.#start(Number(port))
      },
    }
  }

  /** The subscription of somebody with one, if there is one. */
  async subscription(user_id: string): Promise<PushTarget | undefined> {
    const [found] = await this.#database.sql<PushTarget[]>`
      SELECT user_id, device_id, endpoint, p256dh, auth, silent FROM push_subscriptions WHERE user_id = ${user_id}`
    return found
  }

  /** Resolves with what became of it. */
  async push(target: PushTarget | undefined, payload: PushPayload): Promise<string> {
    if (!target) throw new Error('nobody is subscribed')
    const settings = { vapidPrivateKey: this.#privateKey, vapidSubject: undefined, publicUrl: undefined }
    const keys = await loadVapidKeys(settings, async (_, make) => make())
    const guard = new EndpointGuard({ allowedHosts: [], allowPrivate: true })
    using sender = new PushSender(new VapidSigner(keys), guard)
    const options = { topic: undefined, urgency: 'high', ttlSeconds: 60 } as const
    return (await sender.send(target, payload, options, new AbortController().signal)).type
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gateway?.[Symbol.asyncDispose]()
    await this.#database[Symbol.asyncDispose]()
    await this.#postgres[Symbol.asyncDispose]()
  }

  async #start(port: number): Promise<void> {
    const push = { graceMs: this.#graceMs, allowPrivate: true, vapidPrivateKey: this.#privateKey }
    // Who closes the page is away soon.
    this.#gateway = await startGateway(this.#postgres.url, { port, push }, { leaseMs: LEASE_MS })
  }
}
