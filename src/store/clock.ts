import type { Sql } from './database.ts'

const SYNC_EVERY_MS = 30_000
/** An answer that took longer may have waited before the question was put: it says too little of the time. */
const ROUND_TRIP_MS = 1_000

/**
 * The time that all nodes share: Postgres' own. Nodes' clocks may be an hour apart, and a token signed by one is judged
 * by another.
 */
export class Clock implements Disposable {
  readonly #sql: Sql
  readonly #timer: NodeJS.Timeout
  /** What to add to the monotonic clock; until Postgres was asked, what this machine believes. */
  #offset = Date.now() - performance.now()
  #isSynced = false

  constructor(sql: Sql, onError: (error: unknown) => void) {
    this.#sql = sql
    this.#timer = setInterval(() => void this.sync().catch(onError), SYNC_EVERY_MS).unref()
  }

  /** ms since 1970. */
  now(): number {
    return Math.round(performance.now() + this.#offset)
  }

  /** Asks Postgres. Rejects when it does not answer; the clock then runs on as it did. */
  async sync(): Promise<void> {
    const asked = performance.now()
    const [row] = await this.#sql<{ ms: string }[]>`SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms`
    const answered = performance.now()
    if (!row || (this.#isSynced && answered - asked > ROUND_TRIP_MS)) return
    this.#offset = Number(row.ms) - (asked + answered) / 2
    this.#isSynced = true
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
