import { randomBytes } from 'node:crypto'
import { notFound, Problem } from '../protocol/problems.ts'
import type { Data, User } from '../protocol/types.ts'
import {
  type Database,
  errorCode,
  type Fragment,
  type Sql,
  type Transaction,
  UNIQUE_VIOLATION,
} from './database.ts'

/** A row of `users` without its secrets. */
export type UserRecord = {
  id: string
  username: string | null
  display_name: string
  created_at: Date | string
  data: Data
}

export function toUser(record: UserRecord): User {
  const { id, username, display_name, created_at, data } = record
  return { id, username, display_name, created_at: new Date(created_at).toISOString(), data }
}

/** The form in which names are compared and searched, the same in every database locale. */
export function fold(name: string): string {
  return name.normalize('NFKC').toLowerCase()
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuv'

/** 20 characters: the millisecond, so that neighbours in time are neighbours in indexes, then 52 random bits. */
function newUserId(): string {
  const time = Date.now().toString(32).padStart(10, '0').slice(-10)
  return time + Array.from(randomBytes(10), (byte) => ALPHABET[byte & 31]).join('')
}

export type NewUser = {
  /** Made here if left out. */
  id?: string | undefined
  username: string | null
  display_name: string
  password_hash: string | null
  data?: Data | undefined
}

/** Makes a user with an empty inbox. Throws Problem username_taken, user_id_taken. */
export async function createUser(tx: Transaction, account: NewUser): Promise<User> {
  const { id = newUserId(), username, display_name, password_hash, data = {} } = account
  try {
    const [row] = await tx<UserRecord[]>`
      WITH made AS (
        INSERT INTO users (id, username, display_name, username_folded, display_name_folded, password_hash, data, created_at)
        VALUES (${id}, ${username}, ${display_name}, ${username && fold(username)}, ${fold(display_name)}, ${password_hash},
          ${JSON.stringify(data)}::text::jsonb, date_trunc('milliseconds', now()))
        RETURNING *),
      opened AS (INSERT INTO inbox_heads (user_id) SELECT id FROM made)
      SELECT id, username, display_name, created_at, data FROM made`
    if (!row) throw new Error('INSERT INTO users returned nothing')
    return toUser(row)
  } catch (error) {
    throw asTaken(error, username)
  }
}

/** What a violated uniqueness means; any other error as it is. */
function asTaken(error: unknown, username: string | null | undefined): unknown {
  if (errorCode(error) !== UNIQUE_VIOLATION) return error
  if ((error as { constraint_name?: string }).constraint_name === 'users_pkey') {
    return new Problem('user_id_taken', 'There is, or was, a user with this id. Choose another one.')
  }
  return new Problem('username_taken', `The username ${username} is taken. Choose another one.`)
}

export type UserChange = {
  display_name?: string | undefined
  data?: Data | undefined
  /** Null takes it away. */
  username?: string | null | undefined
  password_hash?: string | null | undefined
}

/** Changes what is given. Throws Problem username_taken, not_found. */
export async function updateUser(tx: Sql | Transaction, id: string, change: UserChange): Promise<User> {
  const { display_name = null, data, username, password_hash } = change
  try {
    const [row] = await tx<UserRecord[]>`
      UPDATE users SET display_name = coalesce(${display_name}, display_name),
        display_name_folded = coalesce(${display_name && fold(display_name)}, display_name_folded),
        data = coalesce(${data ? JSON.stringify(data) : null}::text::jsonb, data),
        username = ${username === undefined ? tx`username` : username},
        username_folded = ${username === undefined ? tx`username_folded` : username && fold(username)},
        password_hash = ${password_hash === undefined ? tx`password_hash` : password_hash}
      WHERE id = ${id} AND erased_at IS NULL RETURNING id, username, display_name, created_at, data`
    if (!row) throw notFound('user')
    return toUser(row)
  } catch (error) {
    throw asTaken(error, username)
  }
}

/** Whether a user is there and not erased; if so nobody erases them before COMMIT. */
export async function holdUser(tx: Transaction, id: string): Promise<boolean> {
  const rows = await tx`SELECT 1 FROM users WHERE id = ${id} AND erased_at IS NULL FOR KEY SHARE`
  return rows.length > 0
}

export class Users {
  readonly #database: Database
  constructor(database: Database) {
    this.#database = database
  }

  async get(id: string): Promise<User | undefined> {
    return (await this.getMany([id]))[0]
  }

  /** Those of the users that exist, by id. */
  async getMany(ids: string[]): Promise<User[]> {
    const rows = await this.#database.sql<UserRecord[]>`
      SELECT id, username, display_name, created_at, data FROM users WHERE id = ANY (${ids}) ORDER BY id`
    return rows.map(toUser)
  }

  /**
   * People whose user name or display name begins with `prefix`, by display name; whose user name it is comes first. Of
   * a million who match, the first few are read.
   */
  async search(prefix: string, limit: number): Promise<User[]> {
    const first = fold(prefix)
    const last = `${first}\u{10ffff}`
    const { sql } = this.#database
    const beginning = (name: Fragment) => sql`
      SELECT id FROM users WHERE ${name} ~>=~ ${first} AND ${name} ~<=~ ${last} ORDER BY ${name} USING ~<~, id LIMIT ${limit}`
    const rows = await sql<UserRecord[]>`
      SELECT id, username, display_name, created_at, data FROM users
      WHERE id IN ((${beginning(sql`display_name_folded`)}) UNION (${beginning(sql`username_folded`)}))
      ORDER BY username_folded IS DISTINCT FROM ${first}, display_name_folded USING ~<~, id LIMIT ${limit}`
    return rows.map(toUser)
  }

  /** Those that were erased are as good as never made, to whoever administers. */
  async getPresent(id: string): Promise<User | undefined> {
    const [row] = await this.#database.sql<UserRecord[]>`
      SELECT id, username, display_name, created_at, data FROM users WHERE id = ${id} AND erased_at IS NULL`
    return row && toUser(row)
  }

  async findForSignIn(username: string): Promise<{ user: User; password_hash: string | null } | undefined> {
    return this.#withPassword(this.#database.sql`username_folded = ${fold(username)}`)
  }

  async findForPasswordChange(id: string): Promise<{ user: User; password_hash: string | null } | undefined> {
    return this.#withPassword(this.#database.sql`id = ${id}`)
  }

  async setPassword(tx: Transaction, id: string, password_hash: string): Promise<void> {
    await tx`UPDATE users SET password_hash = ${password_hash} WHERE id = ${id}`
  }

  async #withPassword(condition: Fragment) {
    const [row] = await this.#database.sql<(UserRecord & { password_hash: string | null })[]>`
      SELECT id, username, display_name, created_at, data, password_hash FROM users WHERE ${condition}`
    return row && { user: toUser(row), password_hash: row.password_hash }
  }
}
