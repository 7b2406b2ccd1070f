import { Problem } from '../protocol/problems.ts'
import type { Reaction } from '../protocol/types.ts'
import type { Transaction } from './database.ts'
import {
  type LockedMessage,
  lockMessage,
  type MessageTarget,
  requireText,
  requireUnblocked,
} from './edits.ts'
import type { Unit } from './writer.ts'

/** Different emojis on one message. */
const MAX_EMOJIS = 20

/** Reacts, once per person and emoji. Throws Problem not_found, blocked, message_deleted, too_many_reactions. */
export async function addReaction({ tx, append }: Unit, target: MessageTarget, emoji: string): Promise<void> {
  const locked = await lockMessage(tx, target)
  requireText(locked)
  await requireUnblocked(tx, locked)
  const added = await tx`
    INSERT INTO reactions (conversation_id, seq, emoji, user_id)
    VALUES (${target.conversation}, ${target.seq}, ${emoji}, ${target.by}) ON CONFLICT DO NOTHING RETURNING 1`
  if (added.length === 0) return
  const reactions = await settle(tx, locked)
  if (reactions.length > MAX_EMOJIS) {
    throw new Problem(
      'too_many_reactions',
      `A message takes ${MAX_EMOJIS} different emojis. Choose one that is there.`,
    )
  }
  await append([toEvent('reaction.added', locked, emoji, reactions)])
}

/** Takes a reaction back. What is not there is gone already. Throws Problem not_found. */
export async function removeReaction(
  { tx, append }: Unit,
  target: MessageTarget,
  emoji: string,
): Promise<void> {
  const locked = await lockMessage(tx, target)
  const removed = await tx`
    DELETE FROM reactions WHERE conversation_id = ${target.conversation} AND seq = ${target.seq}
      AND emoji = ${emoji} AND user_id = ${target.by} RETURNING 1`
  if (removed.length === 0) return
  await append([toEvent('reaction.removed', locked, emoji, await settle(tx, locked))])
}

/** Writes the reactions, in the order in which their emojis came, beside the message, so that reading it needs no other table. */
async function settle(tx: Transaction, { record, message }: LockedMessage): Promise<Reaction[]> {
  const [row] = await tx<{ reactions: Reaction[] | null }[]>`
    UPDATE messages SET reactions = (
      SELECT jsonb_agg(jsonb_build_object('emoji', r.emoji, 'count', r.count, 'user_ids', to_jsonb(r.user_ids[:20])) ORDER BY r.first_at, r.emoji)
      FROM (SELECT emoji, count(*) AS count, array_agg(user_id ORDER BY at, user_id) AS user_ids, min(at) AS first_at
        FROM reactions WHERE conversation_id = ${record.id} AND seq = ${message.seq} GROUP BY emoji) r)
    WHERE conversation_id = ${record.id} AND seq = ${message.seq} AND created_at = ${message.created_at} RETURNING reactions`
  return row?.reactions ?? []
}

function toEvent(
  type: 'reaction.added' | 'reaction.removed',
  locked: LockedMessage,
  emoji: string,
  reactions: Reaction[],
) {
  const { message, record, audience, own } = locked
  return {
    type,
    conversation_id: record.id,
    recipients: audience,
    seq: message.seq,
    message_at: message.created_at,
    detail: { message_seq: message.seq, user_id: own.user_id, emoji },
    current: { reactions },
  }
}
