import { setImmediate, setTimeout } from 'node:timers/promises'
import { encodeEvent } from '../protocol/event.ts'
import { Background } from './background.ts'
import { mayHaveCommitted } from './commit-retry.ts'
import type { Announce } from './committer.ts'
import { type Database, EPOCH_UNSETTLED, errorCode, LOCK_NOT_AVAILABLE } from './database.ts'

/** Heads locked at a time: sends to these people wait so long, some milliseconds. */
const CHUNK = 500

type Chunk = {
  broadcast_id: string
  content: string
  event_at: Date | null
  recipients: string[] | null
  inbox_ids: number[] | null
  database_epoch: string
}

type Parts = {
  database: Database
  announce: Announce
  /** For whose sends it steps back. */
  committer: { readonly queued: number }
  onError(error: unknown): void
  /** A chunk may have been committed that is never announced, as Postgres's answer was lost. */
  onUncertain(): void
}

/**
 * Brings broadcasts into every inbox, chunk by chunk, on whatever node holds the broadcast's row just now. Each chunk is
 * one transaction that also moves the broadcast on: `broadcast_chunk` in migrations/0006-admin.sql.
 */
export function startBroadcaster({ database, announce, committer, onError, onUncertain }: Parts): Background {
  const step = async () => {
    const began = performance.now()
    const chunk = await nextChunk(database, onUncertain)
    if (chunk === 'again') return true
    if (!chunk) return false
    tell(chunk, announce)
    // Sends that wait get as much time as the chunk took.
    if (committer.queued > 0) await setTimeout(performance.now() - began, undefined, { ref: false })
    else await setImmediate()
    return true
  }
  return new Background(step, onError)
}

/** 'again' where it is to be tried again at once. */
async function nextChunk({ sql }: Database, onUncertain: () => void): Promise<Chunk | 'again' | undefined> {
  try {
    const [chunk] = await sql<Chunk[]>`
      SELECT broadcast_id, content, event_at, recipients, inbox_ids, database_epoch FROM broadcast_chunk(${CHUNK})`
    return chunk
  } catch (error) {
    if (mayHaveCommitted(error)) onUncertain()
    if (errorCode(error) === LOCK_NOT_AVAILABLE) return 'again'
    if (errorCode(error) !== EPOCH_UNSETTLED) throw error
    await sql`SELECT settle_epoch()`
    return 'again'
  }
}

function tell(chunk: Chunk, announce: Announce): void {
  const { recipients, inbox_ids: ids, event_at, database_epoch } = chunk
  if (!recipients || !ids || !event_at) return
  const { broadcast_id: announcement_id, content: text } = chunk
  const body = encodeEvent({ type: 'announcement', at: event_at.toISOString(), announcement_id, text })
  announce({ recipients, ids, database_epoch, body, news: { about: announcement_id, seq: 0, by: null } })
}
