import { createHash } from 'node:crypto'
import type { Opening, Start } from '../protocol/cursor.ts'
import { type EventBody, encodeEvent, type LogEvent } from '../protocol/event.ts'
import type { EventType } from '../protocol/types.ts'
import { readAnnouncementTexts } from './broadcasts.ts'
import { type ConversationRecord, toSharedConversation } from './conversation-record.ts'
import type { Database } from './database.ts'
import { type MessageRecord, messageColumns, toMessage } from './message-record.ts'

/**
 * The epoch of one inbox in one life of the database: no two accounts share one, so that a cursor of another
 * account or of a lost future is never mistaken for a good one.
 */
export function inboxEpoch(databaseEpoch: string, userId: string): string {
  const digest = createHash('sha256').update(`${databaseEpoch}\0${userId}`).digest()
  return digest.readBigUInt64BE().toString(36).slice(-10).padStart(10, '0')
}

/** Reads inboxes: the truth behind every hint of the bus. */
export class InboxReader {
  readonly #database: Database
  constructor(database: Database) {
    this.#database = database
  }

  /** Judges a starting point, as Postgres says. */
  async open(userId: string, start: Start): Promise<Opening> {
    const from = typeof start === 'object' ? start.id : start === 'oldest' ? 0 : Number.MAX_SAFE_INTEGER
    const [row] = await this.#database.sql<{ epoch: string; head: number | null; next_id: number | null }[]>`
      SELECT d.epoch, h.last_id AS head,
        (SELECT i.id FROM inbox i WHERE i.user_id = ${userId} AND i.id > ${from} ORDER BY i.id LIMIT 1) AS next_id
      FROM database_epoch d LEFT JOIN inbox_heads h ON h.user_id = ${userId}`
    if (!row) throw new Error('the database has no epoch: it was not migrated')
    const epoch = inboxEpoch(row.epoch, userId)
    const head = row.head ?? 0
    const at = (after: number): Opening => ({ epoch, database_epoch: row.epoch, head, after })
    if (start === 'head') return at(head)
    if (start === 'oldest') return at((row.next_id ?? head + 1) - 1)
    if (start.epoch !== epoch || start.id > head) return { ...at(head), reset: 'unknown' }
    if (start.id < head && row.next_id !== start.id + 1) return { ...at(head), reset: 'expired' }
    return at(start.id)
  }

  /**
   * The events behind `after`, ascending, each as it is now: edited, deleted, or redacted. Rejects where the inbox has
   * another epoch by now: the same ids are other events there.
   */
  async readAfter(userId: string, epoch: string, after: number, limit: number): Promise<LogEvent[]> {
    const rows = await this.#database.sql<InboxRow[]>`
      SELECT (SELECT epoch FROM database_epoch) AS database_epoch, i.id AS inbox_id, i.at, i.type, i.conversation_id AS about_id, i.seq AS message_seq, i.detail,
        mb.from_seq, to_jsonb(c) AS conversation, ${messageColumns(this.#database.sql)}
      FROM inbox i
      LEFT JOIN members mb ON mb.conversation_id = i.conversation_id AND mb.user_id = i.user_id
      LEFT JOIN inline_messages m ON m.conversation_id = i.conversation_id AND m.seq = i.seq
        AND m.created_at = coalesce(i.message_at, i.at)
      LEFT JOIN conversations c ON c.id = i.conversation_id AND i.type IN ('conversation.created', 'conversation.updated')
      WHERE i.user_id = ${userId} AND i.id > ${after} ORDER BY i.id LIMIT ${limit}`
    const [first] = rows
    if (first && inboxEpoch(first.database_epoch, userId) !== epoch)
      throw new Error('the inbox has another epoch')
    const texts = await this.#announcementTexts(rows)
    return rows.map((row) => ({ id: row.inbox_id, body: toEventBody(row, userId, texts) }))
  }

  /** Looked up apart, and only where there are some: most pages hold none. */
  async #announcementTexts(rows: readonly InboxRow[]): Promise<Map<string, string>> {
    const ids = rows.flatMap(({ type, detail }) =>
      type === 'announcement' ? [String(detail?.announcement_id)] : [],
    )
    return ids.length === 0 ? new Map() : readAnnouncementTexts(this.#database.sql, [...new Set(ids)])
  }

  /** The heads of many inboxes in one query, and the database's epoch. Unknown users are left out. */
  async heads(userIds: readonly string[]): Promise<{ database_epoch: string; heads: Map<string, number> }> {
    const rows = await this.#database.sql<{ user_id: string; last_id: number; epoch: string }[]>`
      SELECT h.user_id, h.last_id, d.epoch FROM inbox_heads h CROSS JOIN database_epoch d
      WHERE h.user_id = ANY (${userIds as string[]})`
    const heads = new Map(rows.map((row) => [row.user_id, row.last_id]))
    return { database_epoch: rows[0]?.epoch ?? '', heads }
  }

  /** Draws a new database epoch unless somebody did already: what was committed under this one is lost. */
  async redrawEpoch(database_epoch: string): Promise<void> {
    await this.#database.sql`SELECT redraw_epoch(${database_epoch})`
  }
}

type InboxRow = Omit<MessageRecord, 'seq' | 'conversation_id'> & {
  database_epoch: string
  inbox_id: number
  at: Date
  type: EventType
  /** The message's own; null where the event is about none. */
  seq: number | null
  message_seq: number | null
  about_id: string | null
  from_seq: number | null
  detail: Record<string, unknown> | null
  conversation: ConversationRecord | null
}

function toEventBody(row: InboxRow, userId: string, announcements: Map<string, string>): EventBody {
  const { type, about_id: conversation_id } = row
  const at = row.at.toISOString()
  const about = conversation_id ? { conversation_id } : {}
  if (!maySee(row, userId)) return encodeEvent({ type: 'redacted', at, ...about })
  const base = { type, at, ...about }
  if (type === 'announcement') {
    const text = announcements.get(String(row.detail?.announcement_id))
    return encodeEvent(text === undefined ? { type: 'redacted', at } : { ...base, ...row.detail, text })
  }
  const message = row.seq === null ? undefined : toMessage(row as unknown as MessageRecord)
  if (row.conversation) {
    const conversation = toSharedConversation(row.conversation)
    return encodeEvent({ ...base, ...row.detail, conversation, ...(message && { last_message: message }) })
  }
  if (type.startsWith('message.') && message) return encodeEvent({ ...base, message })
  if (type.startsWith('reaction.'))
    return encodeEvent({ ...base, ...row.detail, reactions: message?.reactions ?? [] })
  return encodeEvent({ ...base, ...row.detail })
}

/** Who was removed may still learn just that; who joined later sees nothing from before. */
function maySee(row: InboxRow, userId: string): boolean {
  if (row.about_id === null) return true
  if (row.from_seq === null) return row.type === 'member.removed' && row.detail?.user_id === userId
  return row.message_seq === null || row.message_seq >= row.from_seq
}
