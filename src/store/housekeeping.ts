import type { Database, Transaction } from './database.ts'

const EVERY_MS = 3_600_000
const STATEMENT_MS = 60_000

/**
 * Keeps the inbox's partitions ahead of time and drops what has served: events over the retention, spent keys, tickets
 * and tokens. Once at the start, then hourly; on many nodes one at a time.
 */
export class Housekeeping implements Disposable {
  readonly #database: Database
  readonly #retentionDays: number
  readonly #onError: (error: unknown) => void
  readonly #timer: NodeJS.Timeout

  constructor(database: Database, retentionDays: number, onError: (error: unknown) => void) {
    this.#database = database
    this.#retentionDays = retentionDays
    this.#onError = onError
    this.#timer = setInterval(() => void this.run().catch(this.#onError), EVERY_MS).unref()
  }

  async run(): Promise<void> {
    await this.#alone(async (tx) => {
      // Making or dropping a partition locks the inbox: rather later than in the way of sends.
      await tx`SET LOCAL lock_timeout = '300ms'`
      await tx`SELECT keep_message_partitions()`
      await tx`SELECT keep_search_partitions()`
      await tx`SELECT keep_inbox_partitions(${`${this.#retentionDays} days`}::interval)`
    })
    await this.#alone(async (tx) => {
      await tx`DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'`
      // Kept for a day beyond their minute, so that one who comes late is told what happened.
      await tx`DELETE FROM stream_tickets WHERE expires_at < now() - interval '1 day'`
      await tx`DELETE FROM refresh_tokens WHERE expires_at < now()`
      await tx`DELETE FROM devices WHERE expires_at < now()`
      // An identity provider's tokens may live for weeks.
      await tx`DELETE FROM revocations WHERE revoked_at < now() - interval '30 days'`
      await tx`DELETE FROM active_users WHERE day < (now() AT TIME ZONE 'UTC')::date - 1`
    })
  }

  /** In a transaction, unless another node is at it just now. */
  #alone(work: (tx: Transaction) => Promise<void>): Promise<void> {
    return this.#database.longTransaction('longwave housekeeping', STATEMENT_MS, async (tx) => {
      const [lock] = await tx<
        { taken: boolean }[]
      >`SELECT pg_try_advisory_xact_lock(hashtext('longwave housekeeping')) AS taken`
      if (lock?.taken) await work(tx)
    })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
