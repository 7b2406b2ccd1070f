import { type Database, errorCode, LOCK_NOT_AVAILABLE, type Transaction } from './database.ts'

const EVERY_MS = 3_600_000
/** What somebody's long statement stood in the way of is tried again so soon, then ever later. */
const AGAIN_MS = 2_000
const STATEMENT_MS = 60_000
/** Whoever sends waits behind whoever waits for a lock: so long at most, and well below what a send itself waits. */
const LOCK_TIMEOUT = '100ms'

/**
 * Keeps the partitions of messages, their words and the inbox ahead of time and drops what has served: events over the
 * retention, spent keys, tickets and tokens. Once at the start, then hourly; on many nodes one at a time.
 */
export class Housekeeping implements Disposable {
  readonly #database: Database
  readonly #retention: string
  readonly #onError: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #attempts = 0
  #isEnded = false

  constructor(database: Database, retentionDays: number, onError: (error: unknown) => void) {
    this.#database = database
    this.#retention = `${retentionDays} days`
    this.#onError = onError
  }

  /** Does all that can be done now, and goes on by itself. Rejects with the first error, but not where a lock was not had. */
  async run(): Promise<void> {
    const failures: unknown[] = []
    for (const step of [this.#makePartitions, this.#detach, this.#drop, this.#forget]) {
      await step.call(this).catch((error: unknown) => failures.push(error))
    }
    const isBusy = failures.some((error) => errorCode(error) === LOCK_NOT_AVAILABLE)
    this.#attempts = isBusy ? this.#attempts + 1 : 0
    this.#schedule(isBusy ? Math.min(AGAIN_MS * 2 ** (this.#attempts - 1), EVERY_MS) : EVERY_MS)
    const failure = failures.find((error) => errorCode(error) !== LOCK_NOT_AVAILABLE)
    if (failure) throw failure
  }

  async #makePartitions(): Promise<void> {
    await this.#alone(async (tx) => {
      await tx`SELECT keep_message_partitions()`
      await tx`SELECT keep_search_partitions()`
      await tx`SELECT keep_inbox_partitions(${this.#retention}::interval)`
    })
  }

  /** One after the other, each in a transaction of its own: the inbox is free again in between. */
  async #detach(): Promise<void> {
    for (let hasMore = true; hasMore && !this.#isEnded; ) {
      hasMore = false
      await this.#alone(async (tx) => {
        const [row] = await tx<
          { part: string | null }[]
        >`SELECT detach_inbox_partition(${this.#retention}::interval) AS part`
        hasMore = typeof row?.part === 'string'
      })
    }
  }

  async #drop(): Promise<void> {
    await this.#alone(async (tx) => {
      await tx`SELECT drop_detached_inbox_partitions(${this.#retention}::interval)`
    })
  }

  async #forget(): Promise<void> {
    await this.#alone(async (tx) => {
      await tx`DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'`
      // Kept for a day beyond their minute, so that one who comes late is told what happened.
      await tx`DELETE FROM stream_tickets WHERE expires_at < now() - interval '1 day'`
      await tx`DELETE FROM refresh_tokens WHERE expires_at < now()`
      await tx`DELETE FROM devices WHERE expires_at < now()`
      // An identity provider's tokens may live for weeks.
      await tx`DELETE FROM revocations WHERE revoked_at < now() - interval '30 days'`
      // Nobody looks for whom to wake as far back as that.
      await tx`DELETE FROM pushes WHERE is_announcement AND due_at IS NULL AND begun_at < now() - interval '7 days'`
      await tx`
        DELETE FROM pushes p WHERE NOT p.is_announcement AND p.due_at IS NULL AND NOT EXISTS (
          SELECT 1 FROM members m WHERE m.conversation_id = p.about AND m.user_id = p.user_id)`
      await tx`DELETE FROM active_users WHERE day < (now() AT TIME ZONE 'UTC')::date - 1`
    })
  }

  /** In a transaction, unless another node is at it just now. */
  #alone(work: (tx: Transaction) => Promise<void>): Promise<void> {
    return this.#database.longTransaction('longwave housekeeping', STATEMENT_MS, async (tx) => {
      const [lock] = await tx<
        { taken: boolean }[]
      >`SELECT pg_try_advisory_xact_lock(hashtext('longwave housekeeping')) AS taken`
      if (!lock?.taken) return
      await tx.unsafe(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`)
      await work(tx)
    })
  }

  #schedule(ms: number): void {
    if (this.#isEnded) return
    this.#timer = setTimeout(() => void this.run().catch(this.#onError), ms).unref()
  }

  [Symbol.dispose](): void {
    this.#isEnded = true
    clearTimeout(this.#timer)
  }
}
