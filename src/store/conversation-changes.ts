import type { Data } from '../protocol/types.ts'
import {
  BACK_END,
  type By,
  idsOf,
  type Locked,
  lockConversation,
  requireGroup,
  requireRank,
} from './conversation-lock.ts'
import { type ConversationRecord, toSharedConversation } from './conversation-record.ts'
import type { Transaction } from './database.ts'
import { systemMessage } from './system-messages.ts'
import type { NewEvent, Unit } from './writer.ts'

/** What of a conversation can be changed: the first three are everybody's, the last two each member's own. */
export type ConversationChange = {
  title?: string | null | undefined
  data?: Data | undefined
  system_messages?: boolean | undefined
  muted?: boolean | undefined
  hidden?: boolean | undefined
}

/** Changes what all share (owner and admins of a group) and what is each member's own, which their devices learn. */
export async function updateConversation(
  { tx, append }: Unit,
  target: { conversation: string; by: By },
  change: ConversationChange,
): Promise<void> {
  const locked = await lockConversation(tx, target.conversation, target.by)
  await append([...(await changeOwn(tx, locked, change)), ...(await changeShared(tx, locked, change))])
}

async function changeOwn(tx: Transaction, { record, own }: Locked, change: ConversationChange) {
  const { muted = null, hidden = null } = change
  if (muted === null && hidden === null) return []
  const [row] = await tx<{ muted: boolean; hidden: boolean }[]>`
    UPDATE members SET muted = coalesce(${muted}, muted),
      hidden_seq = CASE ${hidden}::boolean WHEN true THEN ${record.last_seq}::bigint WHEN false THEN NULL ELSE hidden_seq END
    WHERE conversation_id = ${record.id} AND user_id = ${own.user_id}
    RETURNING muted, coalesce(hidden_seq >= ${record.last_seq}, false) AS hidden`
  const { user_id, role } = own
  const detail = { user_id, role, members_count: record.members_count, ...row }
  const event: NewEvent = {
    type: 'member.updated',
    conversation_id: record.id,
    recipients: [user_id],
    detail,
  }
  return [event]
}

async function changeShared(tx: Transaction, { record, members, own }: Locked, change: ConversationChange) {
  const { title = record.title, data = record.data, system_messages = record.system_messages } = change
  if (change.title === undefined && change.data === undefined && change.system_messages === undefined)
    return []
  requireGroup(record)
  requireRank(own.role !== 'member', "the group's owner and admins")
  const [updated] = await tx<ConversationRecord[]>`
    UPDATE conversations SET title = ${title}, data = ${JSON.stringify(data)}::text::jsonb, system_messages = ${system_messages}
    WHERE id = ${record.id} RETURNING *`
  if (!updated) return []
  const recipients = idsOf(members)
  const told =
    title === record.title
      ? []
      : await systemMessage(tx, updated, recipients, {
          event: 'conversation.updated',
          by: own === BACK_END ? null : own.user_id,
          title,
        })
  const last_seq = record.last_seq + told.length
  const current = { conversation: toSharedConversation({ ...updated, last_seq }) }
  const event: NewEvent = { type: 'conversation.updated', conversation_id: record.id, recipients, current }
  return [event, ...told]
}
