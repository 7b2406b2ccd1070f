import { notFound, Problem } from '../protocol/problems.ts'
import type { Conversation, Data, Role } from '../protocol/types.ts'
import { type ConversationRecord, toSharedConversation } from './conversation-record.ts'
import type { Database, Fragment, Sql, Transaction } from './database.ts'
import { newId } from './ids.ts'
import { inboxEpoch } from './inbox.ts'
import { type MessageRecord, toMessage } from './message-record.ts'
import { toUser, type UserRecord } from './users.ts'
import type { NewEvent, Unit } from './writer.ts'

export type NewGroup = {
  /** Null where the product's back end looks after the group. */
  owner: string | null
  members: string[]
  title: string | null
  data: Data
  history: 'joined' | 'all'
  system_messages: boolean
}

/** A place in the list of conversations: behind the one with this activity (ms since 1970) and id. */
export type ListPosition = { activity: number; id: string }

/** Makes a group; everybody in it gets `conversation.created`. Throws Problem user_not_found. */
export async function createGroup({ tx, append }: Unit, group: NewGroup): Promise<string> {
  const id = newId()
  const members = [...new Set([...(group.owner === null ? [] : [group.owner]), ...group.members])]
  await requireUsers(tx, members)
  const [row] = await tx<ConversationRecord[]>`
    INSERT INTO conversations (id, kind, title, data, history, system_messages, created_at, members_count, last_activity_at)
    SELECT ${id}, 'group', ${group.title}, ${JSON.stringify(group.data)}::text::jsonb, ${group.history}, ${group.system_messages},
      t.at, ${members.length}, t.at
    FROM date_trunc('milliseconds', clock_timestamp()) AS t (at) RETURNING *`
  await tx`
    INSERT INTO members (conversation_id, user_id, role, joined_at, from_seq, read_seq)
    SELECT ${id}, m.id, CASE WHEN m.id = ${group.owner}::text THEN 'owner' ELSE 'member' END::member_role,
      date_trunc('milliseconds', clock_timestamp()), 1, 0
    FROM unnest(${members}::text[]) AS m (id)`
  if (!row) throw new Error('INSERT INTO conversations returned nothing')
  const others = members.filter((member) => member !== group.owner)
  await append([
    created(row, group.owner === null ? [] : [group.owner], { role: 'owner', read_seq: 0 }),
    created(row, others, { role: 'member', read_seq: 0 }),
  ])
  return id
}

/** What a conversation is to those for whom it begins here: events alone are enough to know it as the list does. */
export type Beginning = { role: Role; read_seq: number; peer_id?: string }

/** A conversation, whoever its members are. */
export async function findConversation(sql: Sql, id: string): Promise<ConversationRecord | undefined> {
  const [record] = await sql<ConversationRecord[]>`SELECT * FROM conversations WHERE id = ${id}`
  return record
}

/** The event that makes a conversation known. */
export function created(record: ConversationRecord, recipients: string[], detail: Beginning): NewEvent {
  const current = { conversation: toSharedConversation(record) }
  return { type: 'conversation.created', conversation_id: record.id, recipients, detail, current }
}

async function findPresent(tx: Transaction, ids: string[]): Promise<Set<string>> {
  const rows = await tx<{ id: string }[]>`SELECT id FROM users WHERE id = ANY (${ids}) AND erased_at IS NULL`
  return new Set(rows.map((row) => row.id))
}

async function requireUsers(tx: Transaction, ids: string[]): Promise<void> {
  const known = await findPresent(tx, ids)
  const errors = ids
    .filter((id) => !known.has(id))
    .map((id) => ({ path: 'members', message: `no such user: ${id}` }))
  if (errors.length > 0)
    throw new Problem('user_not_found', 'Some of the members do not exist. Check their ids.', { errors })
}

/** The direct conversations between a user and others; those that are new are made known to both. Unknown ones are left out. */
export async function openDirect(
  { tx, append }: Unit,
  user: string,
  peers: string[],
): Promise<Map<string, { id: string; created: boolean }>> {
  const present = await findPresent(tx, [user, ...peers])
  const others = present.has(user) ? peers.filter((id) => present.has(id)) : []
  const opened = await tx<{ peer: string; conversation_id: string; created: boolean }[]>`
    SELECT peer, conversation_id, created
    FROM open_direct_conversations(${user}, ${others}::text[], ${others.map(() => newId())}::uuid[])`
  const fresh = new Map(opened.filter((row) => row.created).map((row) => [row.conversation_id, row.peer]))
  if (fresh.size > 0) {
    const rows = await tx<
      ConversationRecord[]
    >`SELECT * FROM conversations WHERE id = ANY (${[...fresh.keys()]}::uuid[])`
    const begin = (row: ConversationRecord, one: string, peer_id: string) =>
      created(row, [one], { role: 'member', read_seq: 0, peer_id })
    await append(
      rows.flatMap((row) => {
        const peer = fresh.get(row.id) ?? user
        return [begin(row, user, peer), begin(row, peer, user)]
      }),
    )
  }
  return new Map(opened.map((row) => [row.peer, { id: row.conversation_id, created: row.created }]))
}

/** Which of the peers already share a direct conversation with the user. */
export async function findDirect(sql: Sql, user: string, peers: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ peer: string; conversation_id: string }[]>`
    SELECT g.peer, d.conversation_id FROM unnest(${peers}::text[]) AS g (peer)
    JOIN direct_conversations d ON d.user_a = least(${user}::text COLLATE "C", g.peer)
      AND d.user_b = greatest(${user}::text COLLATE "C", g.peer)`
  return new Map(rows.map((row) => [row.peer, row.conversation_id]))
}

type ViewRecord = ConversationRecord & {
  last_activity_at: Date
  role: Role
  read_seq: number
  muted: boolean
  hidden: boolean
  unread_count: number
  mention_count: number
  last_message: MessageRecord | null
  peer: UserRecord | null
}

function toConversation(record: ViewRecord): Conversation {
  const { last_message: last, peer } = record
  return {
    ...toSharedConversation(record),
    last_message: last && toMessage(last),
    read_seq: record.read_seq,
    unread_count: record.unread_count,
    mention_count: record.mention_count,
    muted: record.muted,
    hidden: record.hidden,
    role: record.role,
    ...(peer && { peer: toUser(peer) }),
  }
}

/** Conversations as their members see them. */
export class Conversations {
  readonly #database: Database
  constructor(database: Database) {
    this.#database = database
  }

  /** Throws Problem not_found for strangers. */
  async get(user: string, id: string, sql: Sql | Transaction = this.#database.sql): Promise<Conversation> {
    const [row] = await this.#select(sql, user, sql`m.conversation_id = ${id}`, sql``)
    if (!row) throw notFound('conversation')
    return toConversation(row)
  }

  /** A page of the user's conversations, latest activity first, as one snapshot, and the inbox position it is true at. */
  async list(
    user: string,
    limit: number,
    { after, hidden }: { after: ListPosition | undefined; hidden: boolean },
  ) {
    return this.#database.transaction(async (tx) => {
      const shown = tx`coalesce(m.hidden_seq >= c.last_seq, false) = ${hidden}`
      const behind = after
        ? tx`(c.last_activity_at, c.id) < (to_timestamp(${after.activity / 1000}::float8), ${after.id}::uuid)`
        : tx`true`
      const page = tx`ORDER BY c.last_activity_at DESC, c.id DESC LIMIT ${limit}`
      const rows = await this.#select(tx, user, tx`${shown} AND ${behind}`, page)
      const [head] = await tx<{ epoch: string; last_id: number }[]>`
        SELECT d.epoch, coalesce(h.last_id, 0) AS last_id FROM database_epoch d LEFT JOIN inbox_heads h ON h.user_id = ${user}`
      return {
        conversations: rows.map((row) => ({
          conversation: toConversation(row),
          position: { activity: row.last_activity_at.getTime(), id: row.id },
        })),
        cursor: { epoch: inboxEpoch(head?.epoch ?? '', user), id: head?.last_id ?? 0 },
      }
    }, 'ISOLATION LEVEL REPEATABLE READ READ ONLY')
  }

  #select(sql: Sql | Transaction, user: string, condition: Fragment, page: Fragment) {
    return sql<ViewRecord[]>`
      SELECT v.*,
        (SELECT count(*) FROM mentions t WHERE t.user_id = ${user} AND t.conversation_id = v.id AND t.seq > v.read_seq) AS mention_count,
        (SELECT to_jsonb(l) FROM inline_messages l WHERE l.conversation_id = v.id AND l.seq = v.last_seq AND l.seq >= v.from_seq
          AND l.created_at = v.last_activity_at) AS last_message,
        (SELECT jsonb_build_object('id', p.id, 'username', p.username, 'display_name', p.display_name,
            'created_at', p.created_at, 'data', p.data)
          FROM members pm JOIN users p ON p.id = pm.user_id
          WHERE v.kind = 'direct' AND pm.conversation_id = v.id AND pm.user_id <> ${user}) AS peer
      FROM (SELECT c.*, m.role, m.read_seq, m.from_seq, m.muted, coalesce(m.hidden_seq >= c.last_seq, false) AS hidden,
          c.last_seq - m.read_seq - m.own_unread AS unread_count
        FROM members m JOIN conversations c ON c.id = m.conversation_id
        WHERE m.user_id = ${user} AND ${condition} ${page}) v
      ORDER BY v.last_activity_at DESC, v.id DESC`
  }
}
