import cluster from 'node:cluster'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Logger, pino } from 'pino'
import type { Gateway } from '../app.ts'
import type { Config } from '../config.ts'
import { locateDatabase } from '../locate-database.ts'
import { StartError } from '../start-error.ts'
import { version } from '../version.ts'
import type { Order } from './messages.ts'
import { WorkerProcess } from './worker-process.ts'

const SCRIPT = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** Pauses before a worker is replaced that did not live long: they double from the first to the last. */
const FIRST_PAUSE_MS = 100
const LAST_PAUSE_MS = 5_000
/** One that lived longer is replaced without a pause. */
const STEADY_MS = 10_000
/** A worker that has not drained by then hangs. */
const DRAINED_WITHIN_MS = 8_800

/**
 * Runs `config.workers` nodes on one port, each in a process of its own; this one accepts their connections, passes on
 * what they tell each other, replaces those that die, and looks after the embedded Postgres. Throws StartError when it
 * or any of them cannot start.
 */
export async function startWorkers(config: Config): Promise<Gateway> {
  const log = pino({ level: config.logLevel })
  await using stack = new AsyncDisposableStack()
  const database = await locateDatabase(config, log, stack)
  // Chosen here, so that it stays the same even when all workers have died.
  const port = config.port || (await freePort(config.host))
  const workers = new Workers({ config: { ...config, port }, database }, log)
  stack.defer(() => workers.end(true))
  const url = await workers.start(config.workers)
  log.info(`Longwave ${version} is listening on ${url} with ${config.workers} workers`)
  const parts = stack.move()
  let ended: Promise<void> | undefined
  const drain = (hasty = false) => {
    ended ??= workers.end(hasty).finally(() => parts.disposeAsync())
    return ended
  }
  return { url, drain, [Symbol.asyncDispose]: () => drain(true) }
}

/** The workers of this process, as many as there should be. */
class Workers {
  readonly #order: Order
  readonly #log: Logger
  readonly #running = new Set<WorkerProcess>()
  readonly #ending = new AbortController()

  constructor(order: Order, log: Logger) {
    this.#order = order
    this.#log = log
    // 'advanced' carries what JSON has no words for: bytes, and the sets of a configuration.
    cluster.setupPrimary({ exec: SCRIPT, args: [], serialization: 'advanced' })
    // One that is stopped or hangs would not notice that its primary is gone.
    process.once('exit', () => this.#kill())
  }

  /** Resolves with the address of all when the last of them listens. Rejects with StartError when one ends before. */
  async start(count: number): Promise<string> {
    const first = Array.from({ length: count }, () => this.#fork())
    const [url = ''] = await Promise.all(first.map((worker) => worker.up))
    for (const worker of first) void this.#keep(worker)
    return url
  }

  /** Drains all and resolves when the last one has gone. From here on none is replaced. */
  async end(hasty: boolean): Promise<void> {
    this.#ending.abort()
    const running = [...this.#running]
    for (const worker of running) worker.end(hasty)
    const late = setTimeout(() => this.#kill(), DRAINED_WITHIN_MS)
    await Promise.all(running.map((worker) => worker.ended))
    clearTimeout(late)
  }

  #fork(): WorkerProcess {
    const worker = new WorkerProcess(this.#order, (message) => {
      for (const other of this.#running) if (other !== worker) other.hear(message)
    })
    this.#running.add(worker)
    void worker.ended.then(() => this.#running.delete(worker))
    return worker
  }

  /** Sees to it that there is a worker in the place of `first` until the end. */
  async #keep(first: WorkerProcess): Promise<void> {
    const { signal } = this.#ending
    let pauseMs = 0
    for (let worker = first; ; worker = this.#fork()) {
      const began = performance.now()
      const how = await worker.ended
      if (signal.aborted) return
      this.#log.warn({ worker: worker.pid }, `A worker has ended (${how}); starting another`)
      const isSteady = performance.now() - began > STEADY_MS
      pauseMs = isSteady ? 0 : Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LAST_PAUSE_MS)
      await pause(pauseMs * (0.8 + 0.4 * Math.random()), undefined, { signal }).catch(() => {})
      if (signal.aborted) return
    }
  }

  #kill(): void {
    for (const worker of this.#running) worker.kill()
  }
}

/** A port that nobody listens on just now. Throws StartError where there is none on `host`. */
async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new StartError(`Cannot listen on ${host}: ${(error as Error).message}`)
  }
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
