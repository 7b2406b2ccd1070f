import { Background } from './background.ts'
import { idsOf, type Membership } from './conversation-lock.ts'
import type { Transaction } from './database.ts'
import { remention } from './edits.ts'
import { removeMember } from './members.ts'
import { type MessageRecord, toMessage } from './message-record.ts'
import type { NewEvent, Unit, Writer } from './writer.ts'

/** Inbox rows of one transaction: a larger one would hold its locks too long. */
const MAX_ROWS = 2_000
const MAX_TASKS = 500
const MAX_INBOX_ROWS = 5_000
/** A node may take the tokens of a device signed out elsewhere for so long, and what was under way may still commit. */
const STRAGGLER_SPAN = '10 seconds'

/**
 * Erases what users requested to be erased have said, in bounded transactions, on whatever node holds the row just now.
 * What was done is gone, so whoever goes on needs to know nothing.
 */
export function startEraser(writer: Writer, onError: (error: unknown) => void): Background {
  return new Background(() => writer.write(eraseSome), onError)
}

async function eraseSome(unit: Unit): Promise<boolean> {
  const { tx } = unit
  const [job] = await tx<{ user_id: string; is_settled: boolean }[]>`
    SELECT user_id, requested_at + ${STRAGGLER_SPAN}::interval < clock_timestamp() AS is_settled FROM erasures
    WHERE completed_at IS NULL AND look_at <= clock_timestamp() ORDER BY look_at LIMIT 1 FOR UPDATE SKIP LOCKED`
  if (!job) return false
  const user = job.user_id
  for (const eraseNext of [leaveOne, eraseMessages, eraseMentionsBySystem, emptyInbox]) {
    if (await eraseNext(unit, user)) return true
  }
  if (job.is_settled) {
    await tx`DELETE FROM presence WHERE user_id = ${user}`
    await tx`DELETE FROM pushes WHERE user_id = ${user}`
  }
  await (job.is_settled
    ? tx`UPDATE erasures SET completed_at = date_trunc('milliseconds', clock_timestamp()) WHERE user_id = ${user}`
    : tx`UPDATE erasures SET look_at = requested_at + ${STRAGGLER_SPAN}::interval WHERE user_id = ${user}`)
  return true
}

/** Leaves a group; direct conversations stay, for the other one's sake. False if there is none. */
async function leaveOne(unit: Unit, user: string): Promise<boolean> {
  const [group] = await unit.tx<{ id: string }[]>`
    SELECT c.id FROM members m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.user_id = ${user} AND c.kind = 'group' LIMIT 1`
  if (!group) return false
  await removeMember(unit, { conversation: group.id, by: user, user })
  return true
}

async function emptyInbox({ tx }: Unit, user: string): Promise<boolean> {
  const gone = await tx`
    DELETE FROM inbox WHERE user_id = ${user} AND id IN (
      SELECT id FROM inbox WHERE user_id = ${user} ORDER BY id LIMIT ${MAX_INBOX_ROWS}) RETURNING 1`
  return gone.length > 0
}

type Place = { conversation_id: string; seq: number }
/** Something to erase; `members_count` is how many events that may take. */
type Task = { key: string; conversation_id: string | null; seq: number | null; members_count: number }

/** What the user sent: their keys say which messages. False if there is nothing left. */
async function eraseMessages(unit: Unit, user: string): Promise<boolean> {
  const { tx } = unit
  const tasks = firstOf(
    await tx<Task[]>`
      SELECT k.key, k.conversation_id, k.seq, coalesce(c.members_count, 0) AS members_count
      FROM send_keys k LEFT JOIN conversations c ON c.id = k.conversation_id
      WHERE k.sender_id = ${user} ORDER BY k.key LIMIT ${MAX_TASKS}`,
  )
  if (tasks.length === 0) return false
  await tx`DELETE FROM send_keys WHERE sender_id = ${user} AND key = ANY (${tasks.map(({ key }) => key)})`
  await erasePlaces(unit, user, tasks)
  return true
}

/** What groups were told of the user, by name. False if there is nothing left. */
async function eraseMentionsBySystem(unit: Unit, user: string): Promise<boolean> {
  const tasks = firstOf(
    await unit.tx<Task[]>`
      SELECT '' AS key, m.conversation_id, m.seq, c.members_count FROM messages m JOIN conversations c ON c.id = m.conversation_id
      WHERE m.kind = 'system' AND m.client_id IS NULL AND (m.data->>'by' = ${user} OR m.data->>'user_id' = ${user})
        AND m.data->>'event' IN ('member.added', 'member.removed', 'conversation.updated') LIMIT ${MAX_TASKS}`,
  )
  if (tasks.length > 0) await erasePlaces(unit, user, tasks)
  return tasks.length > 0
}

/** As many as make no more than MAX_ROWS inbox rows; the first in any case. */
function firstOf(tasks: readonly Task[]): Task[] {
  let rows = 0
  const end = tasks.findIndex((task, index) => {
    rows += task.members_count
    return index > 0 && rows > MAX_ROWS
  })
  return tasks.slice(0, end === -1 ? tasks.length : end)
}

/** Turns messages into tombstones and tells the members. */
async function erasePlaces({ tx, append }: Unit, user: string, tasks: Task[]): Promise<void> {
  const places = tasks.flatMap(({ conversation_id, seq }) =>
    conversation_id && seq ? [{ conversation_id, seq }] : [],
  )
  const ids = [...new Set(places.map(({ conversation_id }) => conversation_id))]
  await tx`SELECT 1 FROM conversations WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`
  const tombstones = await bury(tx, user, places)
  await tx`UPDATE erasures SET messages_erased = messages_erased + ${tombstones.length} WHERE user_id = ${user}`
  await append(await deletedEvents(tx, ids, tombstones))
}

/** A message that was not deleted before, and whether it mentioned anybody. */
type Tombstone = MessageRecord & { created_at: Date; deleted_at: Date; had_mentions: boolean }

/** Leaves nothing of the messages but their places, as deleting one by one would. */
async function bury(tx: Transaction, user: string, places: Place[]): Promise<Tombstone[]> {
  const conversations = places.map(({ conversation_id }) => conversation_id)
  const seqs = places.map(({ seq }) => seq)
  const rows = await tx<(Tombstone & { was_deleted: boolean })[]>`
    WITH said AS (
      SELECT m.conversation_id, m.seq, m.created_at, m.deleted_at, m.mentions
      FROM unnest(${conversations}::uuid[], ${seqs}::bigint[]) AS g (conversation_id, seq)
      JOIN messages m ON m.conversation_id = g.conversation_id AND m.seq = g.seq AND (m.sender_id = ${user} OR m.kind = 'system'))
    UPDATE messages m SET text = '', data = NULL, mentions = NULL, reactions = NULL, client_id = NULL,
      deleted_at = coalesce(m.deleted_at, date_trunc('milliseconds', clock_timestamp()))
    FROM said WHERE m.conversation_id = said.conversation_id AND m.seq = said.seq AND m.created_at = said.created_at
    RETURNING m.*, false AS truncated, said.deleted_at IS NOT NULL AS was_deleted, said.mentions IS NOT NULL AS had_mentions`
  await tx`
    DELETE FROM reactions r USING unnest(${conversations}::uuid[], ${seqs}::bigint[]) AS g (conversation_id, seq)
    WHERE r.conversation_id = g.conversation_id AND r.seq = g.seq`
  return rows.filter(({ was_deleted }) => !was_deleted)
}

/** To those who may see the message, each conversation's in order; whoever was mentioned learns the new count. */
async function deletedEvents(tx: Transaction, ids: string[], tombstones: Tombstone[]): Promise<NewEvent[]> {
  const all = await tx<(Membership & { conversation_id: string })[]>`
    SELECT conversation_id, user_id, role, from_seq, read_seq FROM members WHERE conversation_id = ANY (${ids}::uuid[])`
  const byConversation = Map.groupBy(all, ({ conversation_id }) => conversation_id)
  const events: NewEvent[] = []
  for (const message of [...tombstones].sort((a, b) => a.seq - b.seq)) {
    const { conversation_id, seq, created_at: message_at } = message
    const members = byConversation.get(conversation_id) ?? []
    const recipients = idsOf(members.filter((member) => member.from_seq <= seq))
    const current = { message: toMessage(message) }
    events.push({ type: 'message.deleted', conversation_id, seq, message_at, recipients, current })
    if (!message.had_mentions) continue
    events.push(...(await remention(tx, { message, record: { id: conversation_id }, members })))
  }
  return events
}
