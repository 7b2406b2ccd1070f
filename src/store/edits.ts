import { notFound, Problem } from '../protocol/problems.ts'
import type { Data, Message } from '../protocol/types.ts'
import { findBlockers } from './blocks.ts'
import { blocked } from './commit-group.ts'
import { idsOf, type Locked, lockConversation, requireRank } from './conversation-lock.ts'
import type { Transaction } from './database.ts'
import { mentionedNames } from './mentions.ts'
import { countsEvents } from './read-marks.ts'
import { messageEvent } from './system-messages.ts'
import type { NewEvent, Unit } from './writer.ts'

/** A message of a conversation, and who wants something of it. */
export type MessageTarget = { conversation: string; seq: number; by: string }

/** What is known of a message whose conversation is locked. */
export type LockedMessage = Locked & {
  message: { seq: number; sender_id: string | null; created_at: Date; deleted_at: Date | null }
  /** Those who may see it. */
  audience: string[]
}

/** The message, its conversation locked. Throws Problem not_found for strangers and for what `by` may not see. */
export async function lockMessage(
  tx: Transaction,
  { conversation, seq, by }: MessageTarget,
): Promise<LockedMessage> {
  const locked = await lockConversation(tx, conversation, by)
  const [message] = await tx<LockedMessage['message'][]>`
    SELECT seq, sender_id, created_at, deleted_at FROM messages
    WHERE conversation_id = ${conversation} AND seq = ${seq} AND seq >= ${locked.own.from_seq}`
  if (!message) throw notFound('message')
  const audience = idsOf(locked.members.filter((member) => member.from_seq <= seq))
  return { ...locked, message, audience }
}

/** Throws Problem message_deleted. */
export function requireText({ message }: LockedMessage): void {
  if (message.deleted_at)
    throw new Problem('message_deleted', 'Nothing is left of it but its place. Leave it be.')
}

/** Whoever is blocked says no more in a direct conversation, in whatever way. Throws Problem blocked. */
export async function requireUnblocked(tx: Transaction, { record, members, own }: Locked): Promise<void> {
  if (record.kind !== 'direct') return
  if ((await findBlockers(tx, own.user_id, idsOf(members))).size > 0) throw blocked()
}

/** Edits a message: its sender may. Throws Problem not_found, forbidden, blocked, message_deleted. */
export async function editMessage(
  { tx, append }: Unit,
  target: MessageTarget,
  change: { text?: string | undefined; data?: Data | null | undefined },
): Promise<Message> {
  const locked = await lockMessage(tx, target)
  const { message, record, audience } = locked
  requireRank(message.sender_id === target.by, 'the sender')
  requireText(locked)
  await requireUnblocked(tx, locked)
  const names = change.text === undefined ? undefined : mentionedNames(change.text)
  await tx`
    UPDATE messages SET edited_at = date_trunc('milliseconds', clock_timestamp()), text = coalesce(${change.text ?? null}, text),
      data = CASE WHEN ${change.data !== undefined} THEN ${change.data ? JSON.stringify(change.data) : null}::text::jsonb ELSE data END,
      mentions = CASE WHEN ${names !== undefined} THEN nullif(mentioned(conversation_id, ${JSON.stringify(names ?? [])}::text::jsonb), '[]')
        ELSE mentions END
    WHERE conversation_id = ${record.id} AND seq = ${message.seq} AND created_at = ${message.created_at}`
  const event = await messageEvent(tx, 'message.edited', record.id, message, audience)
  await append([event, ...(await remention(tx, locked))])
  return event.current.message
}

/**
 * Deletes a message: its sender may, and in a group its owner and admins. A tombstone stays at its place; text, data,
 * mentions and reactions are gone. Deleting again changes nothing. Throws Problem not_found, forbidden.
 */
export async function deleteMessage({ tx, append }: Unit, target: MessageTarget): Promise<void> {
  const locked = await lockMessage(tx, target)
  const { message, record, own, audience } = locked
  const isModerator = record.kind === 'group' && own.role !== 'member'
  requireRank(message.sender_id === target.by || isModerator, "the sender and the group's owner and admins")
  if (message.deleted_at) return
  await tx`
    UPDATE messages SET deleted_at = date_trunc('milliseconds', clock_timestamp()), text = '', data = NULL, mentions = NULL, reactions = NULL
    WHERE conversation_id = ${record.id} AND seq = ${message.seq} AND created_at = ${message.created_at}`
  await tx`DELETE FROM reactions WHERE conversation_id = ${record.id} AND seq = ${message.seq}`
  const event = await messageEvent(tx, 'message.deleted', record.id, message, audience)
  await append([event, ...(await remention(tx, locked))])
}

/** Brings `mentions` into line with the message; those who have not read it learn their new count. */
export async function remention(
  tx: Transaction,
  { message, record, members }: Pick<LockedMessage, 'message' | 'members'> & { record: { id: string } },
): Promise<NewEvent[]> {
  const changed = await tx<{ user_id: string }[]>`
    WITH now AS (
      SELECT jsonb_array_elements_text(mentions) AS user_id FROM messages
      WHERE conversation_id = ${record.id} AND seq = ${message.seq} AND created_at = ${message.created_at}),
    gone AS (
      DELETE FROM mentions t USING members m
      WHERE m.conversation_id = ${record.id} AND t.user_id = m.user_id AND t.conversation_id = ${record.id} AND t.seq = ${message.seq}
        AND t.user_id NOT IN (SELECT user_id FROM now) RETURNING t.user_id),
    come AS (
      INSERT INTO mentions (user_id, conversation_id, seq)
      SELECT user_id, ${record.id}, ${message.seq} FROM now WHERE user_id IS DISTINCT FROM ${message.sender_id}
      ON CONFLICT DO NOTHING RETURNING user_id)
    SELECT user_id FROM gone UNION SELECT user_id FROM come`
  const ids = new Set(changed.map((row) => row.user_id))
  const unread = members.filter((member) => ids.has(member.user_id) && member.read_seq < message.seq)
  return unread.length > 0 ? countsEvents(tx, record.id, idsOf(unread)) : []
}
