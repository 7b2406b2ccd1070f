import type { Message } from '../protocol/types.ts'
import type { By } from './conversation-lock.ts'
import type { ConversationRecord } from './conversation-record.ts'
import type { Transaction } from './database.ts'
import { newId } from './ids.ts'
import { type MessageRecord, messageColumns, toMessage } from './message-record.ts'
import type { NewEvent } from './writer.ts'

/** What happened, by whom (null: the product's back end) and to whom; it stands in the message's `data`, for products that say it in their own words. */
export type Happening =
  | { event: 'member.added' | 'member.removed'; by: By; user_id: string }
  | { event: 'conversation.updated'; by: By; title: string | null }

/** A message of kind "system" that tells `recipients` what happened, if the group wants them. The conversation is locked. */
export async function systemMessage(
  tx: Transaction,
  record: ConversationRecord,
  recipients: string[],
  happening: Happening,
): Promise<NewEvent[]> {
  if (!record.system_messages || recipients.length === 0) return []
  const text = await describe(tx, happening)
  const [row] = await tx<{ seq: number; created_at: Date }[]>`
    WITH moved AS (
      UPDATE conversations SET last_seq = last_seq + 1,
        last_activity_at = greatest(last_activity_at, date_trunc('milliseconds', clock_timestamp()))
      WHERE id = ${record.id} RETURNING *)
    INSERT INTO messages (conversation_id, seq, id, kind, text, data, created_at)
    SELECT id, last_seq, ${newId()}, 'system', ${text}, ${JSON.stringify(happening)}::text::jsonb, last_activity_at FROM moved
    RETURNING seq, created_at`
  if (!row) return []
  return [await messageEvent(tx, 'message.created', record.id, row, recipients)]
}

/** The event that shows a message as it is in this transaction. */
export async function messageEvent(
  tx: Transaction,
  type: 'message.created' | 'message.edited' | 'message.deleted',
  conversation_id: string,
  { seq, created_at }: { seq: number; created_at: Date },
  recipients: string[],
): Promise<NewEvent & { current: { message: Message } }> {
  const [record] = await tx<MessageRecord[]>`
    SELECT ${messageColumns(tx)} FROM inline_messages m
    WHERE m.conversation_id = ${conversation_id} AND m.seq = ${seq} AND m.created_at = ${created_at}`
  if (!record) throw new Error('a message that was just written is not there')
  return {
    type,
    conversation_id,
    recipients,
    seq,
    message_at: created_at,
    current: { message: toMessage(record) },
  }
}

async function describe(tx: Transaction, happening: Happening): Promise<string> {
  const ids = ['user_id' in happening ? happening.user_id : null, happening.by].filter((id) => id !== null)
  const rows = await tx<{ id: string; display_name: string }[]>`
    SELECT id, display_name FROM users WHERE id = ANY (${ids})`
  const names = new Map(rows.map((row) => [row.id, row.display_name]))
  const by = names.get(happening.by ?? '') ?? 'The operator'
  if (happening.event === 'conversation.updated')
    return happening.title === null ? `${by} removed the title` : `${by} named the group “${happening.title}”`
  const other = names.get(happening.user_id) ?? 'somebody'
  if (happening.event === 'member.added') return `${by} added ${other}`
  return happening.by === happening.user_id ? `${by} left` : `${by} removed ${other}`
}
