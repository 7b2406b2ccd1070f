import { MAX_INLINE_TEXT_BYTES } from '../protocol/constants.ts'
import type { Data, Message } from '../protocol/types.ts'

/** A row of `messages`, its text perhaps cut by `INLINE_TEXT`. */
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
  data: Data | null
  created_at: Date
  edited_at: Date | null
  deleted_at: Date | null
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
    created_at: record.created_at.toISOString(),
    edited_at: record.edited_at?.toISOString() ?? null,
    deleted_at: record.deleted_at?.toISOString() ?? null,
    reply_to: record.reply_to,
    mentions: [],
    reactions: [],
    data: record.data ?? {},
  }
}
