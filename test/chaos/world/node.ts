import { fileURLToPath } from 'node:url'
import { GatewayProcess } from '../../support/gateway-process.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { DuplicatingProxy } from './duplicating-proxy.ts'
import { stablePort } from './stable-port.ts'

const SCRIPT = fileURLToPath(new URL('./chaos-gateway.ts', import.meta.url))

/** It needs Postgres to start, which may be away for a while. */
const START_WITHIN_MS = 60_000

/** When an armed node is killed: behind COMMIT, before the one or the other. */
export type Trigger = 'announcement' | 'answer'

export type NodeOptions = {
  name: string
  postgresUrl: string
  natsUrls: readonly string[]
  /** How wrong its clock is; ms. */
  clockShiftMs: number
  /** Name of the seeded bug it has. */
  bug?: string | undefined
}

/** A gateway process behind one address, whatever process is there, with a faulty network on all sides. */
export class Node implements AsyncDisposable {
  readonly name: string
  /** Between clients and the node. */
  readonly front: TcpProxy
  readonly toPostgres: TcpProxy
  readonly toNats: readonly TcpProxy[]
  /** Sends what it is given to the node twice. */
  readonly duplicator: DuplicatingProxy
  isDuplicating = false
  readonly #options: NodeOptions
  readonly #port: number
  #process: GatewayProcess | undefined
  #log = ''
  #isStopped = false

  private constructor(
    options: NodeOptions,
    port: number,
    proxies: { front: TcpProxy; toPostgres: TcpProxy; toNats: TcpProxy[] },
    duplicator: DuplicatingProxy,
  ) {
    this.name = options.name
    this.#options = options
    this.#port = port
    this.front = proxies.front
    this.toPostgres = proxies.toPostgres
    this.toNats = proxies.toNats
    this.duplicator = duplicator
  }

  /** Resolves when it serves. */
  static async start(options: NodeOptions): Promise<Node> {
    const port = await stablePort()
    const front = await TcpProxy.before(`http://127.0.0.1:${port}`)
    const toPostgres = await TcpProxy.before(options.postgresUrl)
    const toNats = await Promise.all(options.natsUrls.map((url) => TcpProxy.before(url)))
    const duplicator = await DuplicatingProxy.before(front.through('http://127.0.0.1'))
    const node = new Node(options, port, { front, toPostgres, toNats }, duplicator)
    await node.restart()
    return node
  }

  /** Where clients find it. */
  get url(): string {
    return `http://127.0.0.1:${this.front.port}`
  }

  /** Where clients send: past a proxy that repeats requests while there is one. */
  get sendUrl(): string {
    return this.isDuplicating ? this.duplicator.url : this.url
  }

  /** Starts a process; resolves when it serves. */
  async restart(): Promise<void> {
    const { postgresUrl, natsUrls, clockShiftMs, bug } = this.#options
    const env: Record<string, string> = {
      PORT: String(this.#port),
      DATABASE_URL: this.toPostgres.through(postgresUrl),
      CLOCK_SHIFT_MS: String(clockShiftMs),
      ...(bug !== undefined && { CHAOS_BUG: bug }),
    }
    const through = this.toNats.map((proxy, index) => proxy.through(natsUrls[index] ?? ''))
    if (through.length > 0) env.NATS_URL = through.join(',')
    const deadline = performance.now() + START_WITHIN_MS
    for (;;) {
      const started = new GatewayProcess(env, SCRIPT)
      this.#process = started
      const url = await started.url().catch((error: Error) => this.#note(error.message))
      if (url !== undefined) return
      // As an operator's supervisor does.
      await started[Symbol.asyncDispose]()
      if (this.#isStopped || performance.now() > deadline)
        throw new Error(`${this.name} does not start: ${this.#log.slice(-2_000)}`)
    }
  }

  /** Resolves when it has ended. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.kill(signal)
    this.#keepLog()
  }

  freeze(): void {
    this.#process?.child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.child.kill('SIGCONT')
  }

  /** It is killed at its next send, or as it is if there is none before `patience` resolves. */
  async killAt(trigger: Trigger, patience: Promise<void>): Promise<void> {
    const armed = this.#process
    armed?.child.send(trigger)
    await Promise.race([armed?.exited, patience])
    await this.signal('SIGKILL')
  }

  /** What its processes wrote. */
  get log(): string {
    return this.#log + (this.#process?.output ?? '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#process?.[Symbol.asyncDispose]()
    await this.duplicator[Symbol.asyncDispose]()
    for (const proxy of [this.front, this.toPostgres, ...this.toNats]) await proxy[Symbol.asyncDispose]()
  }

  #keepLog(): void {
    this.#note(this.#process?.output ?? '')
    if (this.#process) this.#process.output = ''
  }

  #note(text: string): undefined {
    this.#log = (this.#log + text).slice(-1_000_000)
  }
}
