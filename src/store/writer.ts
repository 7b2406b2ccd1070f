import { type Announcement, type EventBody, type EventFields, encodeEvent } from '../protocol/event.ts'
import type { Announce } from './committer.ts'
import { type Database, EPOCH_UNSETTLED, errorCode, type Transaction } from './database.ts'

/** An event to append to the inboxes of `recipients`; `detail` is what is stored beside the references. */
export type NewEvent = {
  recipients: readonly string[]
  type: Exclude<EventFields['type'], 'redacted'>
  conversation_id: string
  seq?: number
  /** When the message was created that this is about; needed wherever `seq` is that of an earlier message. */
  message_at?: Date
  /** The event's own fields, kept in the inbox row. */
  detail?: Record<string, unknown>
  /** Fields that are looked up again when the event is read again, so not kept. */
  current?: Record<string, unknown>
}

/** What a writer works with inside its transaction. */
export type Unit = {
  readonly tx: Transaction
  /** Appends events, in the order given. Once per transaction, at its end: heads are the last locks taken. */
  append(events: readonly NewEvent[]): Promise<void>
}

/** Runs transactions that append to inboxes, and announces their events after COMMIT. */
export class Writer {
  readonly database: Database
  readonly #announce: Announce

  constructor(database: Database, announce: Announce) {
    this.database = database
    this.#announce = announce
  }

  /** Persist, then fan out: nothing is announced unless it was committed. `work` may run twice, never commit twice. */
  async write<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    try {
      return await this.#writeOnce(work)
    } catch (error) {
      if (errorCode(error) !== EPOCH_UNSETTLED) throw error
      await this.database.sql`SELECT settle_epoch()`
      return this.#writeOnce(work)
    }
  }

  async #writeOnce<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    const appended: Announcement[] = []
    const result = await this.database.transaction((tx) =>
      work({
        tx,
        append: async (events) => {
          appended.push(...(await appendEvents(tx, events)))
        },
      }),
    )
    for (const announcement of appended) this.#announce(announcement)
    return result
  }
}

type Appended = { recipients: string[]; ids: number[]; database_epoch: string; body: EventBody }

async function appendEvents(tx: Transaction, events: readonly NewEvent[]): Promise<Announcement[]> {
  const rows = events.flatMap((event) => event.recipients.map((user_id) => ({ user_id, event })))
  if (rows.length === 0) return []
  const placed = await tx<{ n: number; id: number; at: Date; database_epoch: string }[]>`
    SELECT n, id, at, (SELECT current_epoch()) AS database_epoch FROM append_events(
      ${rows.map((row) => row.user_id)}::text[], ${rows.map((row) => row.event.type)}::text[],
      ${rows.map((row) => row.event.conversation_id)}::uuid[], ${rows.map((row) => row.event.seq ?? null)}::bigint[],
      ${rows.map((row) => row.event.message_at?.toISOString() ?? null)}::text[],
      ${rows.map((row) => (row.event.detail ? JSON.stringify(row.event.detail) : null))}::text[])`
  const appended = new Map<NewEvent, Appended>()
  for (const [index, { user_id, event }] of rows.entries()) {
    const place = placed[index]
    if (!place) throw new Error('append_events answered fewer rows than it was given')
    const { database_epoch } = place
    const known = appended.get(event) ?? {
      recipients: [],
      ids: [],
      database_epoch,
      body: encode(event, place.at),
    }
    known.recipients.push(user_id)
    known.ids.push(place.id)
    appended.set(event, known)
  }
  return [...appended.values()]
}

function encode({ type, conversation_id, detail, current }: NewEvent, at: Date): EventBody {
  return encodeEvent({ type, at: at.toISOString(), conversation_id, ...detail, ...current })
}
