import { Problem } from '../protocol/problems.ts'
import type { Data, Message } from '../protocol/types.ts'
import type { Sql } from './database.ts'
import { mentionedNames } from './mentions.ts'
import { cutText, type MessageRecord, messageColumns, toMessage } from './message-record.ts'

/** One message to commit. Parsed, authenticated and within limits; membership is judged in the transaction. */
export type Send = {
  /** UUIDv7 of the message, should this be its first use. */
  id: string
  /** Null for a message of kind "system". */
  sender_id: string | null
  /** Unique per sender, for ever. */
  key: string
  /** SHA-256 over conversation and content: the same key with another hash is a mismatch. */
  request_hash: Buffer
  conversation_id: string
  text: string
  client_id: string
  reply_to: number | null
  data: Data | null
}

/** What became of a send in its transaction. */
export type CommitRow = {
  n: number
  status: 'created' | 'replayed' | 'mismatch' | 'not_found' | 'reply_not_found' | 'blocked'
  seq: number | null
  at: Date | null
  recipients: string[] | null
  inbox_ids: number[] | null
  /** Ids of those whom the text mentions, as a JSON list; null if it mentions no name at all. */
  mentions: string | null
  database_epoch: string
}

/** Why a send was refused, for its sender. */
export function refusal(status: CommitRow['status'] | undefined): Problem {
  if (status === 'mismatch') {
    return new Problem(
      'idempotency_mismatch',
      'This key was used for another message. Take a new key for a new message.',
    )
  }
  if (status === 'reply_not_found') {
    return new Problem(
      'reply_not_found',
      'Set reply_to to the seq of a message in this conversation, or leave it out.',
    )
  }
  if (status === 'blocked') return blocked()
  return new Problem('not_found', 'There is no such conversation, or you may not see it. Check the id.')
}

/** Whoever is blocked can neither start nor continue a direct conversation. */
export function blocked(): Problem {
  return new Problem('blocked', 'This person has blocked you: you cannot write to them directly.')
}

/** The message as it was committed just now. */
export function newMessage(send: Send, row: CommitRow, seq: number, createdAt: string): Message {
  return {
    id: send.id,
    conversation_id: send.conversation_id,
    seq,
    kind: send.sender_id === null ? 'system' : 'user',
    sender_id: send.sender_id,
    ...cutText(send.text),
    client_id: send.client_id,
    created_at: createdAt,
    edited_at: null,
    deleted_at: null,
    reply_to: send.reply_to,
    mentions: row.mentions === null ? [] : JSON.parse(row.mentions),
    reactions: [],
    data: send.data ?? {},
  }
}

/** One call, one transaction: `commit_sends` in migrations/0004-messages.sql. A row per send, in order. */
export async function commitSends(sql: Sql, sends: Send[]): Promise<CommitRow[]> {
  const rows = await sql<CommitRow[]>`
    SELECT n, status, seq, at, recipients, inbox_ids, mentions, (SELECT current_epoch()) AS database_epoch FROM commit_sends(
      ${sends.map((send) => send.sender_id)}::text[], ${sends.map((send) => send.key)}::text[],
      ${sends.map((send) => `\\x${send.request_hash.toString('hex')}`)}::bytea[],
      ${sends.map((send) => send.conversation_id)}::uuid[], ${sends.map((send) => send.id)}::uuid[],
      ${sends.map((send) => send.text)}::text[], ${sends.map((send) => send.client_id)}::text[],
      ${sends.map((send) => send.reply_to)}::bigint[],
      ${sends.map((send) => (send.data ? JSON.stringify(send.data) : null))}::text[],
      ${sends.map((send) => namesJson(send.text))}::text[])`
  // Nobody may ever be answered with what became of another's send.
  if (rows.length !== sends.length || rows.some((row, index) => row.n !== index + 1)) {
    throw new Error('commit_sends answered other rows than it was asked for')
  }
  return rows
}

function namesJson(text: string): string | null {
  const names = mentionedNames(text)
  return names.length > 0 ? JSON.stringify(names) : null
}

/** Those of the conversations that nobody holds a lock on just now. */
export async function unlockedConversations(sql: Sql, ids: string[]): Promise<Set<string>> {
  const rows = await sql<{ id: string }[]>`
    SELECT id FROM conversations WHERE id = ANY (${ids}::uuid[]) FOR NO KEY UPDATE SKIP LOCKED`
  return new Set(rows.map((row) => row.id))
}

/** Several messages of several conversations, by `<conversation>/<seq>`. */
export async function readMessages(
  sql: Sql,
  conversations: string[],
  seqs: number[],
): Promise<Map<string, Message>> {
  const rows = await sql<MessageRecord[]>`
    SELECT ${messageColumns(sql)} FROM unnest(${conversations}::uuid[], ${seqs}::bigint[]) AS g (conversation_id, seq)
    JOIN inline_messages m ON m.conversation_id = g.conversation_id AND m.seq = g.seq`
  return new Map(rows.map((row) => [`${row.conversation_id}/${row.seq}`, toMessage(row)]))
}
