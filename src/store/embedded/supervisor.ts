import { pause } from '../../pause.ts'
import { type Postmaster, stopPostmaster } from './postmaster.ts'
import { isRunning } from './process-identity.ts'

const watchMs = 100
const firstDelayMs = 200
const maxDelayMs = 5000
const steadyAfterMs = 10_000

/** Where events go; pino's shape. */
export type EmbeddedLog = Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>

/** Keeps a server running until stopped. */
export type Supervisor = { stop(): Promise<void> }

/**
 * Watches a server, our child or not, and whenever it is gone calls `restart`, with growing pauses and for ever.
 * Does not keep the process alive.
 */
export function supervise(
  first: Postmaster,
  restart: (signal: AbortSignal) => Promise<Postmaster>,
  log: EmbeddedLog,
): Supervisor {
  const ending = new AbortController()
  let current: Postmaster | null = first
  const watching = (async () => {
    let delayMs = firstDelayMs
    while (current) {
      const since = performance.now()
      await untilGone(current, ending.signal)
      if (ending.signal.aborted) return
      if (performance.now() - since > steadyAfterMs) delayMs = firstDelayMs
      log.warn({ pid: current.process.pid }, 'Postgres has ended; starting it again')
      current = null
      current = await bringBack(restart, delayMs, log, ending.signal)
      delayMs = Math.min(delayMs * 2, maxDelayMs)
    }
  })()
  return {
    async stop() {
      ending.abort()
      await watching
      if (current) await stopPostmaster(current)
    },
  }
}

async function untilGone({ process: running }: Postmaster, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && isRunning(running)) await pause(watchMs, signal)
}

async function bringBack(
  restart: (signal: AbortSignal) => Promise<Postmaster>,
  firstPauseMs: number,
  log: EmbeddedLog,
  signal: AbortSignal,
): Promise<Postmaster | null> {
  let reported = ''
  for (let delayMs = firstPauseMs; ; delayMs = Math.min(delayMs * 2, maxDelayMs)) {
    await pause(delayMs * (0.8 + 0.4 * Math.random()), signal)
    if (signal.aborted) return null
    try {
      const postmaster = await restart(signal)
      log.warn({ pid: postmaster.process.pid, port: postmaster.port }, 'Postgres is back')
      return postmaster
    } catch (error) {
      if (signal.aborted) return null
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== reported) log.error({ reason }, 'Postgres cannot be started again yet; trying on')
      reported = reason
    }
  }
}
