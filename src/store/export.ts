import { MAX_ANSWER_BYTES } from '../protocol/constants.ts'
import type { Message, Role, SharedConversation } from '../protocol/types.ts'
import { type ConversationRecord, toSharedConversation } from './conversation-record.ts'
import type { Sql } from './database.ts'
import { type MessageRecord, toMessage } from './message-record.ts'

/** Something exported and where it stands in its section, for going on behind it. */
export type Exported<T> = { position: string; item: T }

export type ExportedSession = {
  device_id: string
  name: string | null
  created_at: string
  last_seen_at: string
  /** Whose push service is told to wake it; the rest of the endpoint is a secret. */
  push_subscription: { host: string; created_at: string } | null
}
export type ExportedConversation = SharedConversation & {
  role: Role
  joined_at: string
  read_seq: number
  muted: boolean
  hidden: boolean
}

type Request = { user: string; after: string; limit: number }

type DeviceRow = {
  id: string
  name: string | null
  created_at: Date
  last_seen_at: Date
  endpoint: string | null
  subscribed_at: Date | null
}

/** A user's devices, by id. */
export async function exportSessions(
  sql: Sql,
  { user, after, limit }: Request,
): Promise<Exported<ExportedSession>[]> {
  const rows = await sql<DeviceRow[]>`
    SELECT d.id, d.name, d.created_at, d.last_seen_at, s.endpoint, s.created_at AS subscribed_at
    FROM devices d LEFT JOIN push_subscriptions s ON s.user_id = d.user_id AND s.device_id = d.id
    WHERE d.user_id = ${user} AND d.id > ${after} ORDER BY d.id LIMIT ${limit}`
  return rows.map(({ id, name, created_at, last_seen_at, endpoint, subscribed_at }) => ({
    position: id,
    item: {
      device_id: id,
      name,
      created_at: created_at.toISOString(),
      last_seen_at: last_seen_at.toISOString(),
      push_subscription:
        endpoint === null || subscribed_at === null
          ? null
          : { host: new URL(endpoint).host, created_at: subscribed_at.toISOString() },
    },
  }))
}

type MembershipRow = ConversationRecord & Omit<ExportedConversation, 'joined_at'> & { joined_at: Date }

/** The conversations that a user is a member of, by id. */
export async function exportConversations(
  sql: Sql,
  { user, after, limit }: Request,
): Promise<Exported<ExportedConversation>[]> {
  const rows = await sql<MembershipRow[]>`
    SELECT c.*, m.role, m.joined_at, m.read_seq, m.muted,
      coalesce(m.hidden_seq >= c.last_seq, false) AS hidden
    FROM members m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.user_id = ${user} AND (${after} = '' OR m.conversation_id > nullif(${after}, '')::uuid)
    ORDER BY m.conversation_id LIMIT ${limit}`
  return rows.map((row) => {
    const { role, read_seq, muted, hidden } = row
    const joined_at = row.joined_at.toISOString()
    return {
      position: row.id,
      item: { ...toSharedConversation(row), role, joined_at, read_seq, muted, hidden },
    }
  })
}

/** All messages that a user has sent, with their whole texts, by their keys; as many texts as one answer holds. */
export async function exportMessages(
  sql: Sql,
  { user, after, limit }: Request,
): Promise<Exported<Message>[]> {
  const rows = await sql<(MessageRecord & { key: string })[]>`
    SELECT s.* FROM (
      SELECT k.key, m.*, false AS truncated, sum(octet_length(m.text)) OVER (ORDER BY k.key) - octet_length(m.text) AS bytes_before
      FROM (SELECT key, conversation_id, seq FROM send_keys
        WHERE sender_id = ${user} AND key > ${after} AND seq IS NOT NULL ORDER BY key LIMIT ${limit}) k
      JOIN messages m ON m.conversation_id = k.conversation_id AND m.seq = k.seq) s
    WHERE s.bytes_before <= ${MAX_ANSWER_BYTES} ORDER BY s.key`
  return rows.map((row) => ({
    position: row.key,
    item: { ...toMessage({ ...row, text: '' }), text: row.text, truncated: false },
  }))
}
