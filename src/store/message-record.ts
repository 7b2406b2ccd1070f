import { MAX_INLINE_TEXT_BYTES } from '../protocol/constants.ts'
import type { Data, Message, Reaction } from '../protocol/types.ts'
import type { Fragment, Sql, Transaction } from './database.ts'

/** A row of `inline_messages`; times are Dates from the driver or strings from `to_jsonb`. */
export type MessageRecord = {
  id: string
  conversation_id: string
  seq: number
  kind: 'user' | 'system'
  sender_id: string | null
  text: string
  truncated: boolean
  client_id: string | null
  reply_to: number | null
  mentions: string[] | null
  reactions: Reaction[] | null
  data: Data | null
  created_at: Date | string
  edited_at: Date | string | null
  deleted_at: Date | string | null
}

/** The columns of a message, of `inline_messages` as `m`. */
export function messageColumns(sql: Sql | Transaction): Fragment {
  return sql`m.id, m.conversation_id, m.seq, m.kind, m.sender_id, m.text, m.truncated, m.client_id, m.reply_to,
    m.mentions, m.reactions, m.data, m.created_at, m.edited_at, m.deleted_at`
}

const encoder = new TextEncoder()

/** Cuts a text of more than 8 KB (UTF-8) at a code point. */
export function cutText(text: string): { text: string; truncated: boolean } {
  if (text.length * 3 <= MAX_INLINE_TEXT_BYTES || Buffer.byteLength(text) <= MAX_INLINE_TEXT_BYTES) {
    return { text, truncated: false }
  }
  const { read } = encoder.encodeInto(text, new Uint8Array(MAX_INLINE_TEXT_BYTES))
  return { text: text.slice(0, read), truncated: true }
}

/** The message as the wire carries it everywhere but in its own resource. */
export function toMessage(record: MessageRecord): Message {
  const { text, truncated } = cutText(record.text)
  return {
    id: record.id,
    conversation_id: record.conversation_id,
    seq: record.seq,
    kind: record.kind,
    sender_id: record.sender_id,
    text,
    truncated: truncated || record.truncated,
    client_id: record.client_id,
    created_at: iso(record.created_at),
    edited_at: record.edited_at && iso(record.edited_at),
    deleted_at: record.deleted_at && iso(record.deleted_at),
    reply_to: record.reply_to,
    mentions: record.mentions ?? [],
    reactions: record.reactions ?? [],
    data: record.data ?? {},
  }
}

function iso(time: Date | string): string {
  return new Date(time).toISOString()
}
