import { notFound, Problem } from '../protocol/problems.ts'
import type { Member, Role } from '../protocol/types.ts'
import { type By, idsOf, lockConversation, requireGroup, requireRank } from './conversation-lock.ts'
import type { ConversationRecord } from './conversation-record.ts'
import { created } from './conversations.ts'
import type { Sql, Transaction } from './database.ts'
import { type MessageRecord, messageColumns, toMessage } from './message-record.ts'
import { systemMessage } from './system-messages.ts'
import type { NewEvent, Unit } from './writer.ts'

/** A member's new role. */
type RoleChange = { user_id: string; role: Role }

/** Adds a member, or changes a role; handing over ownership makes the old owner an admin. True if the member is new. */
export async function putMember(
  { tx, append }: Unit,
  change: { conversation: string; by: By; user: string; role: Role | undefined; limit: number },
): Promise<boolean> {
  const { record, members, own } = await lockConversation(tx, change.conversation, change.by)
  requireGroup(record)
  const present = members.find((member) => member.user_id === change.user)
  if (present) {
    const role = change.role ?? present.role
    if (role === present.role) return false
    requireRank(own.role === 'owner', "the group's owner")
    if (present.role === 'owner') {
      throw new Problem('forbidden', 'Make another member the owner; the one before then becomes an admin.')
    }
    const changes: RoleChange[] = [{ user_id: change.user, role }]
    const owner = members.find((member) => member.role === 'owner')
    if (role === 'owner' && owner) changes.push({ user_id: owner.user_id, role: 'admin' })
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
  const joined = await join(tx, record, idsOf(members), { user_id: change.user, role })
  const told = await systemMessage(tx, record, [...members.map(({ user_id }) => user_id), change.user], {
    event: 'member.added',
    by: change.by,
    user_id: change.user,
  })
  await append([...joined, ...told])
  return true
}

async function join(
  tx: Transaction,
  record: ConversationRecord,
  others: string[],
  { user_id, role }: RoleChange,
) {
  const added = await tx`
    INSERT INTO members (conversation_id, user_id, role, joined_at, from_seq, read_seq)
    SELECT ${record.id}, u.id, ${role}::member_role, date_trunc('milliseconds', clock_timestamp()),
      ${record.history === 'all' ? 1 : record.last_seq + 1}, ${record.last_seq}
    FROM users u WHERE u.id = ${user_id} AND u.erased_at IS NULL RETURNING 1`
  if (added.length === 0) throw notFound('user')
  const members_count = others.length + 1
  await tx`UPDATE conversations SET members_count = ${members_count} WHERE id = ${record.id}`
  const detail = { user_id, role, members_count }
  const begun = created({ ...record, members_count }, [user_id], { role, read_seq: record.last_seq })
  return [
    await withLatest(tx, begun, record),
    { type: 'member.added' as const, conversation_id: record.id, recipients: others, detail },
  ]
}

/** Whoever may see what was before them is shown the latest of it. */
async function withLatest(
  tx: Transaction,
  begun: NewEvent,
  { id, history, last_seq }: ConversationRecord,
): Promise<NewEvent> {
  if (history !== 'all' || last_seq === 0) return begun
  const [row] = await tx<(MessageRecord & { created_at: Date })[]>`
    SELECT ${messageColumns(tx)} FROM inline_messages m WHERE m.conversation_id = ${id} AND m.seq = ${last_seq}`
  if (!row) throw new Error('the latest message is not there')
  const current = { ...begun.current, last_message: toMessage(row) }
  return { ...begun, seq: last_seq, message_at: row.created_at, current }
}

async function setRoles(
  tx: Transaction,
  record: ConversationRecord,
  recipients: string[],
  changes: RoleChange[],
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
  change: { conversation: string; by: By; user: string },
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
  const told = await systemMessage(tx, record, idsOf(left), {
    event: 'member.removed',
    by: change.by,
    user_id: gone.user_id,
  })
  await append([removed, ...handedOver, ...told])
}

/** The members in the order in which they joined. Throws Problem not_found for strangers. */
export async function listMembers(sql: Sql, conversation: string, by: By): Promise<Member[]> {
  const rows = await sql<(Omit<Member, 'joined_at'> & { joined_at: Date })[]>`
    SELECT m.user_id, u.display_name, m.role, m.joined_at, m.read_seq FROM members m JOIN users u ON u.id = m.user_id
    WHERE m.conversation_id = ${conversation}
      AND (${by}::text IS NULL OR EXISTS (SELECT 1 FROM members o WHERE o.conversation_id = ${conversation} AND o.user_id = ${by}))
    ORDER BY m.joined_at, m.user_id`
  if (rows.length === 0) throw notFound('conversation')
  return rows.map((row) => ({ ...row, joined_at: row.joined_at.toISOString() }))
}
