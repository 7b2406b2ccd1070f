import { randomBytes } from 'node:crypto'
import { Problem } from '../protocol/problems.ts'
import type { Data, User } from '../protocol/types.ts'
import { type Database, errorCode, type Fragment, type Transaction, UNIQUE_VIOLATION } from './database.ts'

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

/** Makes a user with an empty inbox. Throws Problem username_taken. */
export async function createUser(
  tx: Transaction,
  account: { username: string; display_name: string; password_hash: string },
): Promise<User> {
  try {
    const [row] = await tx<UserRecord[]>`
      WITH made AS (
        INSERT INTO users (id, username, display_name, username_folded, display_name_folded, password_hash, created_at)
        VALUES (${newUserId()}, ${account.username}, ${account.display_name}, ${fold(account.username)},
          ${fold(account.display_name)}, ${account.password_hash}, date_trunc('milliseconds', now()))
        RETURNING *),
      opened AS (INSERT INTO inbox_heads (user_id) SELECT id FROM made)
      SELECT id, username, display_name, created_at, data FROM made`
    if (!row) throw new Error('INSERT INTO users returned nothing')
    return toUser(row)
  } catch (error) {
    if (errorCode(error) !== UNIQUE_VIOLATION) throw error
    throw new Problem('username_taken', `The username ${account.username} is taken. Choose another one.`)
  }
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

  /** People whose user name or display name begins with `prefix`, by name. */
  async search(prefix: string, limit: number): Promise<User[]> {
    const pattern = `${fold(prefix).replace(/[\\%_]/g, '\\$&')}%`
    const rows = await this.#database.sql<UserRecord[]>`
      SELECT id, username, display_name, created_at, data FROM users
      WHERE username_folded LIKE ${pattern} OR display_name_folded LIKE ${pattern}
      ORDER BY display_name_folded, id LIMIT ${limit}`
    return rows.map(toUser)
  }

  async update(
    id: string,
    change: { display_name?: string | undefined; data?: Data | undefined },
  ): Promise<User> {
    const { display_name = null, data } = change
    const [row] = await this.#database.sql<UserRecord[]>`
      UPDATE users SET display_name = coalesce(${display_name}, display_name),
        display_name_folded = coalesce(${display_name && fold(display_name)}, display_name_folded),
        data = coalesce(${data ? JSON.stringify(data) : null}::text::jsonb, data)
      WHERE id = ${id} RETURNING id, username, display_name, created_at, data`
    if (!row) throw new Problem('unauthenticated', 'This account no longer exists. Sign in again.')
    return toUser(row)
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
