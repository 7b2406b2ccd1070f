import { notFound, Problem } from '../protocol/problems.ts'
import type { Data, Member, Role } from '../protocol/types.ts'
import { type ConversationRecord, toSharedConversation } from './conversation-record.ts'
import { created } from './conversations.ts'
import type { Sql, Transaction } from './database.ts'
import type { NewEvent, Unit } from './writer.ts'

type Membership = { user_id: string; role: Role }

/**
 * The conversation and its members, the conversation locked: until COMMIT nobody sends to it, joins or leaves it.
 * Throws Problem not_found unless `user` is a member.
 */
async function lockConversation(tx: Transaction, id: string, user: string) {
  const [record] = await tx<
    ConversationRecord[]
  >`SELECT * FROM conversations WHERE id = ${id} FOR NO KEY UPDATE`
  const members = await tx<Membership[]>`
    SELECT user_id, role FROM members WHERE conversation_id = ${id} ORDER BY joined_at, user_id`
  const own = members.find((member) => member.user_id === user)
  if (!record || !own) throw notFound('conversation')
  return { record, members: [...members], own }
}

function requireGroup(record: ConversationRecord): void {
  if (record.kind === 'group') return
  throw new Problem('direct_conversation', 'Its members cannot change. Create a group for more people.')
}

function requireRank(allowed: boolean, who: string): void {
  if (!allowed) throw new Problem('forbidden', `Only ${who} may do this. Ask one of them.`)
}

function idsOf(members: Membership[]): string[] {
  return members.map((member) => member.user_id)
}

/** Adds a member, or changes a role; handing over ownership makes the old owner an admin. True if the member is new. */
export async function putMember(
  { tx, append }: Unit,
  change: { conversation: string; by: string; user: string; role: Role | undefined; limit: number },
): Promise<boolean> {
  const { record, members, own } = await lockConversation(tx, change.conversation, change.by)
  requireGroup(record)
  const present = members.find((member) => member.user_id === change.user)
  if (present) {
    const role = change.role ?? present.role
    if (role === present.role) return false
    requireRank(own.role === 'owner', "the group's owner")
    if (present.user_id === change.by) {
      throw new Problem('forbidden', 'Make another member the owner; you then become an admin.')
    }
    const changes: Membership[] = [{ user_id: change.user, role }]
    if (role === 'owner') changes.push({ user_id: change.by, role: 'admin' })
    await append(await setRoles(tx, record, idsOf(members), changes))
    return false
  }
  const role = change.role ?? 'member'
  requireRank(
    own.role === 'owner' || (own.role === 'admin' && role === 'member'),
    "the group's owner and admins",
  )
  if (role === 'owner') throw new Problem('forbidden', 'Add the person first, then hand the group over.')
  if (members.length >= change.limit) {
    throw new Problem('group_full', `A group has at most ${change.limit} members. Remove someone first.`)
  }
  await append(await join(tx, record, idsOf(members), { user_id: change.user, role }))
  return true
}

async function join(
  tx: Transaction,
  record: ConversationRecord,
  others: string[],
  { user_id, role }: Membership,
) {
  const added = await tx`
    INSERT INTO members (conversation_id, user_id, role, joined_at, from_seq, read_seq)
    SELECT ${record.id}, u.id, ${role}::member_role, date_trunc('milliseconds', clock_timestamp()),
      ${record.history === 'all' ? 1 : record.last_seq + 1}, ${record.last_seq}
    FROM users u WHERE u.id = ${user_id} RETURNING 1`
  if (added.length === 0) throw notFound('user')
  const members_count = others.length + 1
  await tx`UPDATE conversations SET members_count = ${members_count} WHERE id = ${record.id}`
  const detail = { user_id, role, members_count }
  return [
    created({ ...record, members_count }, [user_id]),
    { type: 'member.added' as const, conversation_id: record.id, recipients: others, detail },
  ]
}

async function setRoles(
  tx: Transaction,
  record: ConversationRecord,
  recipients: string[],
  changes: Membership[],
) {
  const events: NewEvent[] = []
  for (const { user_id, role } of changes) {
    await tx`UPDATE members SET role = ${role}::member_role WHERE conversation_id = ${record.id} AND user_id = ${user_id}`
    const detail = { user_id, role, members_count: record.members_count }
    events.push({ type: 'member.updated', conversation_id: record.id, recipients, detail })
  }
  return events
}

/** Removes a member or lets one leave: `member.removed` is the last event of this conversation for them. */
export async function removeMember(
  { tx, append }: Unit,
  change: { conversation: string; by: string; user: string },
): Promise<void> {
  const { record, members, own } = await lockConversation(tx, change.conversation, change.by)
  requireGroup(record)
  const gone = members.find((member) => member.user_id === change.user)
  if (!gone) throw notFound('member')
  const outranks = own.role === 'owner' || (own.role === 'admin' && gone.role === 'member')
  requireRank(gone === own || outranks, "the group's owner and admins")
  await tx`DELETE FROM members WHERE conversation_id = ${record.id} AND user_id = ${gone.user_id}`
  const members_count = members.length - 1
  await tx`UPDATE conversations SET members_count = ${members_count} WHERE id = ${record.id}`
  const detail = { user_id: gone.user_id, role: gone.role, members_count }
  const removed: NewEvent = {
    type: 'member.removed',
    conversation_id: record.id,
    recipients: idsOf(members),
    detail,
  }
  const left = members.filter((member) => member !== gone)
  const heir = gone.role === 'owner' ? (left.find((member) => member.role === 'admin') ?? left[0]) : undefined
  const handedOver = heir
    ? await setRoles(tx, { ...record, members_count }, idsOf(left), [
        { user_id: heir.user_id, role: 'owner' },
      ])
    : []
  await append([removed, ...handedOver])
}

export type ConversationChange = {
  conversation: string
  by: string
  title?: string | null | undefined
  data?: Data | undefined
  muted?: boolean | undefined
  hidden?: boolean | undefined
}

/** Changes what all share (owner and admins of a group) and what is each member's own. */
export async function updateConversation({ tx, append }: Unit, change: ConversationChange): Promise<void> {
  const { record, members, own } = await lockConversation(tx, change.conversation, change.by)
  if (change.muted !== undefined || change.hidden !== undefined) {
    await tx`
      UPDATE members SET muted = coalesce(${change.muted ?? null}, muted), hidden = coalesce(${change.hidden ?? null}, hidden)
      WHERE conversation_id = ${record.id} AND user_id = ${change.by}`
  }
  if (change.title === undefined && change.data === undefined) return
  requireGroup(record)
  requireRank(own.role !== 'member', "the group's owner and admins")
  const [updated] = await tx<ConversationRecord[]>`
    UPDATE conversations SET title = ${change.title === undefined ? record.title : change.title},
      data = ${JSON.stringify(change.data ?? record.data)}::text::jsonb WHERE id = ${record.id} RETURNING *`
  if (!updated) return
  const current = { conversation: toSharedConversation(updated) }
  await append([
    { type: 'conversation.updated', conversation_id: record.id, recipients: idsOf(members), current },
  ])
}

/** Moves the read mark, never back; the reader's own devices learn of it. */
export async function markRead(
  { tx, append }: Unit,
  mark: { conversation: string; by: string; seq: number },
): Promise<void> {
  const { record } = await lockConversation(tx, mark.conversation, mark.by)
  const seq = Math.min(mark.seq, record.last_seq)
  const moved = await tx`
    UPDATE members SET read_seq = ${seq}
    WHERE conversation_id = ${record.id} AND user_id = ${mark.by} AND read_seq < ${seq} RETURNING 1`
  if (moved.length === 0) return
  const [row] = await tx<{ unread_count: number }[]>`
    SELECT count(*) AS unread_count FROM messages
    WHERE conversation_id = ${record.id} AND seq > ${seq} AND sender_id IS DISTINCT FROM ${mark.by}`
  const detail = { seq, unread_count: row?.unread_count ?? 0, mention_count: 0 }
  await append([{ type: 'conversation.read', conversation_id: record.id, recipients: [mark.by], detail }])
}

/** The members in the order in which they joined. Throws Problem not_found for strangers. */
export async function listMembers(sql: Sql, conversation: string, by: string): Promise<Member[]> {
  const rows = await sql<(Omit<Member, 'joined_at'> & { joined_at: Date })[]>`
    SELECT m.user_id, u.display_name, m.role, m.joined_at, m.read_seq FROM members m JOIN users u ON u.id = m.user_id
    WHERE m.conversation_id = ${conversation}
      AND EXISTS (SELECT 1 FROM members o WHERE o.conversation_id = ${conversation} AND o.user_id = ${by})
    ORDER BY m.joined_at, m.user_id`
  if (rows.length === 0) throw notFound('conversation')
  return rows.map((row) => ({ ...row, joined_at: row.joined_at.toISOString() }))
}
