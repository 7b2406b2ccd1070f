import { setTimeout } from 'node:timers/promises'
import { type CommitRow, commitSends, type Send } from './commit-group.ts'
import {
  DEADLOCK_DETECTED,
  EPOCH_UNSETTLED,
  errorCode,
  isConnectionLost,
  isTransient,
  LOCK_NOT_AVAILABLE,
  QUERY_CANCELED,
  type Sql,
  UNIQUE_VIOLATION,
} from './database.ts'

/** How long one group may be tried again, and how long one may be under way before new sends are refused (ms). */
export const PATIENCE_MS = 4_000

/**
 * A lost COMMIT answer, a deadlock, a key taken meanwhile: run it again, the keys make that safe. `onUncertain`: part of
 * them may have been committed without a word.
 */
export async function commitWithRetry(
  sql: Sql,
  sends: Send[],
  onUncertain: () => void,
): Promise<CommitRow[]> {
  const deadline = performance.now() + PATIENCE_MS
  for (let attempt = 0, uncertain = false; ; attempt += 1) {
    try {
      return await commitSends(sql, sends)
    } catch (error) {
      const code = errorCode(error)
      if (mayHaveCommitted(error)) {
        uncertain = true
        onUncertain()
      }
      if (code === EPOCH_UNSETTLED) await sql`SELECT settle_epoch()`
      const raced = code === UNIQUE_VIOLATION || code === DEADLOCK_DETECTED || code === EPOCH_UNSETTLED
      const again = raced || (uncertain && isConnectionLost(error))
      if (!again || performance.now() > deadline) throw error
      if (uncertain) await setTimeout(Math.min(50 * 2 ** attempt, 500))
    }
  }
}

/** Whether a statement was under way when the connection broke: then nobody knows whether it took effect. */
export function mayHaveCommitted(error: unknown): boolean {
  const code = errorCode(error) ?? ''
  if (/^(CONNECTION_CLOSED|57P0)/.test(code)) return true
  return /^(ECONNRESET|EPIPE|ETIMEDOUT)$/.test(code) && (error as NodeJS.ErrnoException).syscall !== 'connect'
}

/** Errors that hit every send of a group alike: splitting it would only repeat them. */
export function isHopeless(error: unknown): boolean {
  const code = errorCode(error)
  return isTransient(error) && code !== LOCK_NOT_AVAILABLE && code !== DEADLOCK_DETECTED
}

/** Whether Postgres is away, as far as this tells: it did not answer, or not in time. */
export function isUnanswered(error: unknown): boolean {
  return isConnectionLost(error) || errorCode(error) === QUERY_CANCELED
}
