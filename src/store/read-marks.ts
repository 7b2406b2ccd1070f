import { lockConversation } from './conversation-lock.ts'
import type { Transaction } from './database.ts'
import type { NewEvent, Unit } from './writer.ts'

/** Where a member's read mark stands now. */
export type ReadMark = { conversation_id: string; user_id: string; seq: number; recipients: string[] }

/**
 * Moves the read mark, never back; the reader's own devices learn of it. Nothing is counted but the reader's own messages
 * on the shorter side of the new mark. Returns the mark if it moved, with the other members. Throws Problem not_found.
 */
export async function markRead(
  { tx, append }: Unit,
  mark: { conversation: string; by: string; seq: number },
): Promise<ReadMark | undefined> {
  const { record, members, own } = await lockConversation(tx, mark.conversation, mark.by)
  const seq = Math.min(mark.seq, record.last_seq)
  if (seq <= own.read_seq) return undefined
  await tx`
    UPDATE members SET read_seq = ${seq}, own_unread = CASE
        WHEN ${seq} = ${record.last_seq}::bigint THEN 0
        WHEN ${seq} - read_seq < ${record.last_seq} - ${seq}::bigint THEN own_unread - (
          SELECT count(*) FROM messages s WHERE s.conversation_id = ${record.id} AND s.sender_id = ${mark.by}
            AND s.seq > read_seq AND s.seq <= ${seq})
        ELSE (SELECT count(*) FROM messages s WHERE s.conversation_id = ${record.id} AND s.sender_id = ${mark.by} AND s.seq > ${seq})
      END
    WHERE conversation_id = ${record.id} AND user_id = ${mark.by}`
  await append(await countsEvents(tx, record.id, [mark.by]))
  const others = members.map(({ user_id }) => user_id).filter((id) => id !== mark.by)
  return { conversation_id: record.id, user_id: mark.by, seq, recipients: others }
}

/** Tells each of `users` their read mark and counts as they are in this transaction: absolute, never deltas. */
export async function countsEvents(
  tx: Transaction,
  conversation_id: string,
  users: string[],
): Promise<NewEvent[]> {
  const rows = await tx<{ user_id: string; seq: number; unread_count: number; mention_count: number }[]>`
    SELECT m.user_id, m.read_seq AS seq, c.last_seq - m.read_seq - m.own_unread AS unread_count,
      (SELECT count(*) FROM mentions t
        WHERE t.user_id = m.user_id AND t.conversation_id = m.conversation_id AND t.seq > m.read_seq) AS mention_count
    FROM conversations c JOIN members m ON m.conversation_id = c.id
    WHERE c.id = ${conversation_id} AND m.user_id = ANY (${users})`
  return rows.map(({ user_id, ...detail }) => ({
    type: 'conversation.read',
    conversation_id,
    recipients: [user_id],
    detail,
  }))
}
