import { notFound } from '../protocol/problems.ts'
import type { User } from '../protocol/types.ts'
import type { Sql } from './database.ts'
import { toUser, type UserRecord } from './users.ts'

/** Keeps somebody from starting or continuing a direct conversation with `by`. Throws Problem not_found. */
export async function block(sql: Sql, { by, user }: { by: string; user: string }): Promise<void> {
  const found = await sql`
    WITH found AS (SELECT id FROM users WHERE id = ${user} AND erased_at IS NULL),
    blocked AS (INSERT INTO blocks (blocked_id, user_id) SELECT id, ${by} FROM found ON CONFLICT DO NOTHING)
    SELECT 1 FROM found`
  if (found.length === 0) throw notFound('user')
}

export async function unblock(sql: Sql, { by, user }: { by: string; user: string }): Promise<void> {
  await sql`DELETE FROM blocks WHERE blocked_id = ${user} AND user_id = ${by}`
}

/** Whom `by` blocks, by id, behind the id `after`. */
export async function listBlocked(
  sql: Sql,
  request: { by: string; limit: number; after: string },
): Promise<User[]> {
  const rows = await sql<UserRecord[]>`
    SELECT u.id, u.username, u.display_name, u.created_at, u.data FROM blocks b JOIN users u ON u.id = b.blocked_id
    WHERE b.user_id = ${request.by} AND b.blocked_id > ${request.after} ORDER BY b.blocked_id LIMIT ${request.limit}`
  return rows.map(toUser)
}

/** Those of `peers` who block `user`. */
export async function findBlockers(sql: Sql, user: string, peers: string[]): Promise<Set<string>> {
  const rows = await sql<{ user_id: string }[]>`
    SELECT user_id FROM blocks WHERE blocked_id = ${user} AND user_id = ANY (${peers})`
  return new Set(rows.map((row) => row.user_id))
}
