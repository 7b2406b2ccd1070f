import { notFound } from '../protocol/problems.ts'
import type { Message } from '../protocol/types.ts'
import type { Fragment, Sql } from './database.ts'
import { type MessageRecord, messageColumns, toMessage } from './message-record.ts'

/** Which part of a conversation's history: the latest page, or one before, after or around a seq. */
export type HistoryAnchor = { kind: 'latest' } | { kind: 'before' | 'after' | 'around'; seq: number }

type Place = { user: string; conversation: string }

/** The first seq that a member may see. Throws Problem not_found for strangers. */
async function firstVisible(sql: Sql, place: Place): Promise<number> {
  const [row] = await sql<{ from_seq: number | null }[]>`SELECT ${fromSeq(sql, place)} AS from_seq`
  if (row?.from_seq == null) throw notFound('conversation')
  return row.from_seq
}

/** The same, for the statement that reads messages: whoever is removed meanwhile sees none from behind the removal. */
function fromSeq(sql: Sql, { user, conversation }: Place): Fragment {
  return sql`(SELECT from_seq FROM members WHERE conversation_id = ${conversation} AND user_id = ${user})`
}

/** Messages, ascending, at most `limit`, and whether there are more in the direction asked for (`around`: in either). */
export async function readHistory(
  sql: Sql,
  request: { user: string; conversation: string; anchor: HistoryAnchor; limit: number },
): Promise<{ messages: Message[]; has_more: boolean }> {
  const { anchor, limit } = request
  const from = await firstVisible(sql, request)
  if (anchor.kind === 'after') {
    const rows = await readForwards(sql, request, Math.max(anchor.seq, from - 1), limit + 1)
    return { messages: rows.slice(0, limit), has_more: rows.length > limit }
  }
  if (anchor.kind === 'around') {
    const half = Math.floor((limit - 1) / 2)
    const before = await readBackwards(sql, request, anchor.seq, half + 1)
    const after = await readForwards(sql, request, Math.max(anchor.seq, from) - 1, limit - half + 1)
    const messages = [...before.slice(Math.max(before.length - half, 0)), ...after.slice(0, limit - half)]
    return { messages, has_more: before.length > half || after.length > limit - half }
  }
  const before = anchor.kind === 'before' ? anchor.seq : Number.MAX_SAFE_INTEGER
  const rows = await readBackwards(sql, request, before, limit + 1)
  return { messages: rows.slice(-limit), has_more: rows.length > limit }
}

async function readForwards(sql: Sql, place: Place, after: number, limit: number): Promise<Message[]> {
  const rows = await sql<MessageRecord[]>`
    SELECT ${messageColumns(sql)} FROM inline_messages m
    WHERE m.conversation_id = ${place.conversation} AND m.seq > ${after} AND m.seq >= ${fromSeq(sql, place)}
    ORDER BY m.seq LIMIT ${limit}`
  return rows.map(toMessage)
}

async function readBackwards(sql: Sql, place: Place, before: number, limit: number): Promise<Message[]> {
  const rows = await sql<MessageRecord[]>`
    SELECT ${messageColumns(sql)} FROM inline_messages m
    WHERE m.conversation_id = ${place.conversation} AND m.seq < ${before} AND m.seq >= ${fromSeq(sql, place)}
    ORDER BY m.seq DESC LIMIT ${limit}`
  return rows.map(toMessage).reverse()
}

/** One message with its whole text, or the part asked for (code points from 0). Throws Problem not_found. */
export async function readMessage(
  sql: Sql,
  request: {
    user: string
    conversation: string
    seq: number
    textFrom: number
    textLimit: number | undefined
  },
): Promise<Message> {
  await firstVisible(sql, request)
  const limit = request.textLimit ?? null
  const [row] = await sql<MessageRecord[]>`
    SELECT id, conversation_id, seq, kind, sender_id,
      substring(text FROM ${request.textFrom + 1}::int FOR coalesce(${limit}::int, char_length(text))) AS text,
      ${request.textFrom}::int > 0 OR ${limit}::int < char_length(text) AS truncated,
      client_id, reply_to, mentions, reactions, data, created_at, edited_at, deleted_at
    FROM messages WHERE conversation_id = ${request.conversation} AND seq = ${request.seq} AND seq >= ${fromSeq(sql, request)}`
  if (!row) throw notFound('message')
  return { ...toMessage({ ...row, text: '' }), text: row.text, truncated: row.truncated === true }
}
