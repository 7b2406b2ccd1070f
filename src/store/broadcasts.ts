import type { Sql, Transaction } from './database.ts'
import { newId } from './ids.ts'

/** An announcement to everybody and how far it has come. */
export type Broadcast = {
  id: string
  text: string
  created_at: string
  recipients_done: number
  /** An estimate until it is completed, where there are very many users. */
  recipients_total: number
  completed_at: string | null
  withdrawn_at: string | null
}

/** An announcement as users see it. */
export type AnnouncementRecord = { id: string; text: string; created_at: string }

type BroadcastRow = Omit<Broadcast, 'created_at' | 'completed_at' | 'withdrawn_at'> & {
  created_at: Date
  completed_at: Date | null
  withdrawn_at: Date | null
}

function toBroadcast(row: BroadcastRow): Broadcast {
  return {
    id: row.id,
    text: row.text,
    created_at: row.created_at.toISOString(),
    recipients_done: row.recipients_done,
    recipients_total: row.recipients_total,
    completed_at: row.completed_at?.toISOString() ?? null,
    withdrawn_at: row.withdrawn_at?.toISOString() ?? null,
  }
}

/** Writes a broadcast down; the Broadcaster of some node takes it from there. */
export async function createBroadcast(tx: Transaction, text: string): Promise<Broadcast> {
  const [row] = await tx<BroadcastRow[]>`
    INSERT INTO broadcasts (id, text, created_at, recipients_total)
    VALUES (${newId()}, ${text}, date_trunc('milliseconds', clock_timestamp()), estimate_rows('users'))
    RETURNING ${columns(tx)}`
  if (!row) throw new Error('INSERT INTO broadcasts returned nothing')
  return toBroadcast(row)
}

function columns(sql: Sql) {
  return sql`id, text, created_at, recipients_done, recipients_total, completed_at, withdrawn_at`
}

export async function findBroadcast(sql: Sql, id: string): Promise<Broadcast | undefined> {
  const [row] = await sql<BroadcastRow[]>`SELECT ${columns(sql)} FROM broadcasts WHERE id = ${id}`
  return row && toBroadcast(row)
}

/** Newest first, behind the one named `before`. */
export async function listBroadcasts(
  sql: Sql,
  limit: number,
  before: string | undefined,
): Promise<Broadcast[]> {
  const rows = await sql<BroadcastRow[]>`
    SELECT ${columns(sql)} FROM broadcasts WHERE ${isBefore(sql, before)}
    ORDER BY created_at DESC, id DESC LIMIT ${limit}`
  return rows.map(toBroadcast)
}

function isBefore(sql: Sql, before: string | undefined) {
  if (before === undefined) return sql`true`
  return sql`(created_at, id) < (SELECT b.created_at, b.id FROM broadcasts b WHERE b.id = ${before})`
}

/** Stops a broadcast and hides it from now on; once is enough. Nothing where there is no such broadcast. */
export async function withdrawBroadcast(sql: Sql, id: string): Promise<Broadcast | undefined> {
  const [row] = await sql<BroadcastRow[]>`
    UPDATE broadcasts SET withdrawn_at = coalesce(withdrawn_at, date_trunc('milliseconds', clock_timestamp()))
    WHERE id = ${id} RETURNING ${columns(sql)}`
  return row && toBroadcast(row)
}

/** What was announced to a user so far: since the account was made, newest first, behind the one named `before`. */
export async function listAnnouncements(
  sql: Sql,
  request: { user: string; limit: number; before: string | undefined },
): Promise<AnnouncementRecord[]> {
  const rows = await sql<{ id: string; text: string; created_at: Date }[]>`
    SELECT id, text, created_at FROM broadcasts
    WHERE withdrawn_at IS NULL AND created_at >= (SELECT u.created_at FROM users u WHERE u.id = ${request.user})
      AND ${isBefore(sql, request.before)}
    ORDER BY created_at DESC, id DESC LIMIT ${request.limit}`
  return rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }))
}

/** The texts of announcements, by id; those withdrawn are left out. */
export async function readAnnouncementTexts(sql: Sql, ids: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ id: string; text: string }[]>`
    SELECT id, text FROM broadcasts WHERE id = ANY (${ids}::uuid[]) AND withdrawn_at IS NULL`
  return new Map(rows.map(({ id, text }) => [id, text]))
}
