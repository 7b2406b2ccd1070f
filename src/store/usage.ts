import type { Database, Sql } from './database.ts'

const FLUSH_EVERY_MS = 15_000
/** Whom this node remembers to have counted today; more are written again, which changes nothing. */
const MAX_REMEMBERED = 100_000

export type UsageDay = { date: string; messages: number; active_users: number }
export type Totals = { users: number; devices: number; conversations: number; messages: number }

/**
 * Counts messages and active users per day (UTC) and writes them down every quarter of a minute: so much is missing in
 * the figures, and is lost of a node that is killed. Nobody ever counts messages in their table.
 */
export class Usage implements AsyncDisposable {
  readonly #database: Database
  readonly #committed: () => number
  readonly #onError: (error: unknown) => void
  readonly #timer: NodeJS.Timeout
  #written = 0
  #seen = new Set<string>()
  #remembered = new Set<string>()
  #day = ''

  /** `committed`: messages that this node has committed so far. */
  constructor(database: Database, committed: () => number, onError: (error: unknown) => void) {
    this.#database = database
    this.#committed = committed
    this.#onError = onError
    this.#timer = setInterval(() => void this.flush().catch(onError), FLUSH_EVERY_MS).unref()
  }

  /** Somebody showed a token or a cookie that this node had not checked just before. */
  see(user_id: string): void {
    const day = new Date().toISOString().slice(0, 10)
    if (day !== this.#day || this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    this.#day = day
    if (!this.#remembered.has(user_id)) this.#seen.add(user_id)
  }

  /** Writes down what was counted since. Rejects when Postgres does not answer; it is then written the next time. */
  async flush(): Promise<void> {
    const messages = this.#committed() - this.#written
    const seen = [...this.#seen].sort()
    if (messages === 0 && seen.length === 0) return
    // Taken before it is written: another flush, at the end, may come meanwhile.
    this.#written += messages
    await this.#database.sql`
      WITH today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day),
      active AS (INSERT INTO active_users (day, user_id) SELECT t.day, u.id FROM today t, unnest(${seen}::text[]) AS u (id)
        ON CONFLICT DO NOTHING RETURNING 1)
      INSERT INTO usage_days AS d (day, messages, active_users)
      SELECT t.day, ${messages}, (SELECT count(*) FROM active) FROM today t
      ON CONFLICT (day) DO UPDATE SET messages = d.messages + excluded.messages,
        active_users = d.active_users + excluded.active_users`.catch((error: unknown) => {
      this.#written -= messages
      throw error
    })
    for (const id of seen) {
      this.#seen.delete(id)
      this.#remembered.add(id)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.flush().catch(this.#onError)
  }
}

/** What there is in all: counted where it is little, else the planner's estimates. */
export async function readTotals(sql: Sql): Promise<Totals> {
  const [row] = await sql<Totals[]>`
    SELECT estimate_rows('users') AS users, estimate_rows('devices') AS devices,
      estimate_rows('conversations') AS conversations, estimate_rows('messages') AS messages`
  if (!row) throw new Error('a SELECT without FROM returned nothing')
  return row
}

/** The last `days` days, today included, latest first; those without anything too. */
export async function readUsageDays(sql: Sql, days: number): Promise<UsageDay[]> {
  return sql<UsageDay[]>`
    SELECT g.day::date::text AS date, coalesce(d.messages, 0) AS messages, coalesce(d.active_users, 0) AS active_users
    FROM (SELECT (now() AT TIME ZONE 'UTC')::date - n AS day FROM generate_series(0, ${days - 1}::int) AS n) g
    LEFT JOIN usage_days d ON d.day = g.day ORDER BY g.day DESC`
}
