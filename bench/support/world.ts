import { AccessTokens } from '../../src/http/auth/tokens.ts'
import type { Database, Sql } from '../../src/store/database.ts'
import { newId } from '../../src/store/ids.ts'
import { migrate } from '../../src/store/migrate.ts'
import { sharedSecret } from '../../src/store/secrets.ts'

/** Who is there and who talks with whom. Users are named by their index. */
export type WorldPlan = {
  users: number
  /** Members of each conversation: two make it a direct one. */
  conversations: readonly (readonly number[])[]
}

export type World = {
  userIds: readonly string[]
  /** In the order of the plan. */
  conversationIds: readonly string[]
  /** An access token of a user's only device; good for a quarter of an hour. */
  tokenOf(user: number): Promise<string>
}

const CHUNK_ROWS = 50_000

/** Makes the schema and fills it, set-wise: ten thousand users must not cost ten thousand password hashes. */
export async function seedWorld(database: Database, plan: WorldPlan): Promise<World> {
  await migrate(database)
  const tokens = new AccessTokens(await sharedSecret(database, 'access token'), Date.now)
  const userIds = Array.from(
    { length: plan.users },
    (_, index) => `bench-user-${String(index).padStart(9, '0')}`,
  )
  const conversationIds = plan.conversations.map(() => newId())
  await insertUsers(database.sql, userIds)
  await insertConversations(database.sql, plan, conversationIds)
  await insertMembers(database.sql, plan, userIds, conversationIds)
  // A database that has run for a while has its statistics.
  await database.sql`VACUUM ANALYZE users, devices, inbox_heads, conversations, direct_conversations, members`
  return { userIds, conversationIds, tokenOf: (user) => tokens.sign(userIds[user] ?? '', deviceOf(user)) }
}

function deviceOf(user: number): string {
  return `device-${user}`
}

async function insertUsers(sql: Sql, userIds: string[]): Promise<void> {
  for (let from = 0; from < userIds.length; from += CHUNK_ROWS) {
    const ids = userIds.slice(from, from + CHUNK_ROWS)
    const devices = ids.map((_, index) => deviceOf(from + index))
    await sql`
      INSERT INTO users (id, username, display_name, username_folded, display_name_folded)
      SELECT id, id, id, id, id FROM unnest(${ids}::text[]) AS id`
    await sql`INSERT INTO inbox_heads (user_id) SELECT unnest(${ids}::text[])`
    await sql`
      INSERT INTO devices (user_id, id, expires_at)
      SELECT user_id, id, now() + interval '30 days' FROM unnest(${ids}::text[], ${devices}::text[]) AS d (user_id, id)`
  }
}

async function insertConversations(sql: Sql, { conversations }: WorldPlan, ids: string[]): Promise<void> {
  await sql`
    INSERT INTO conversations (id, kind, created_at, members_count, last_activity_at)
    SELECT id, CASE members WHEN 2 THEN 'direct' ELSE 'group' END::conversation_kind, now(), members, now()
    FROM unnest(${ids}::uuid[], ${conversations.map((members) => members.length)}::bigint[]) AS c (id, members)`
}

async function insertMembers(sql: Sql, plan: WorldPlan, userIds: string[], ids: string[]): Promise<void> {
  const rows = plan.conversations.flatMap((members, index) =>
    members.map((user) => ({ conversation: ids[index] ?? '', user: userIds[user] ?? '' })),
  )
  for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
    const chunk = rows.slice(from, from + CHUNK_ROWS)
    await sql`
      INSERT INTO members (conversation_id, user_id, role, joined_at, from_seq, read_seq)
      SELECT conversation_id, user_id, 'member', now(), 1, 0
      FROM unnest(${chunk.map((row) => row.conversation)}::uuid[], ${chunk.map((row) => row.user)}::text[])
        AS m (conversation_id, user_id)`
  }
  await sql`
    INSERT INTO direct_conversations (user_a, user_b, conversation_id)
    SELECT min(user_id COLLATE "C"), max(user_id COLLATE "C"), conversation_id
    FROM members JOIN conversations c ON c.id = conversation_id WHERE c.kind = 'direct' GROUP BY conversation_id`
}

/** Pairs of different users, none twice. */
export function randomPairs(users: number, count: number): [number, number][] {
  const pairs = new Map<number, [number, number]>()
  while (pairs.size < count) {
    const one = Math.floor(Math.random() * users)
    const other = Math.floor(Math.random() * users)
    if (one !== other) pairs.set(Math.min(one, other) * users + Math.max(one, other), [one, other])
  }
  return [...pairs.values()]
}

/** `count` different users. */
export function randomMembers(users: number, count: number): number[] {
  const members = new Set<number>()
  while (members.size < count) members.add(Math.floor(Math.random() * users))
  return [...members]
}
