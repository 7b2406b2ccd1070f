import postgres from 'postgres'

const BIGINT_OID = 20

// 64-bit numbers of ours (seq, inbox ids) stay far below 2^53.
const types = {
  bigint: {
    to: BIGINT_OID,
    from: [BIGINT_OID],
    serialize: (value: number) => String(value),
    parse: (text: string) => Number(text),
  },
}

export type Sql = postgres.Sql<{ bigint: number }>
/** A piece of a query. */
export type Fragment = postgres.Fragment
/** A connection in the middle of a transaction. */
export type Transaction = postgres.ReservedSql<{ bigint: number }>

export type DatabaseOptions = {
  /** `postgres://…` */
  url: string
  /** Directory of a Unix socket, used instead of the URL's host; cheaper per round trip. */
  socketDir?: string | undefined
  /** Connections for everything but the committer. */
  maxConnections?: number
}

/** The door to Postgres: pools, transactions, and what a failure means. */
export class Database implements AsyncDisposable {
  /** For reads and for writes that are not hot. */
  readonly sql: Sql
  readonly #options: DatabaseOptions

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.sql = this.connect('longwave', options.maxConnections ?? 10)
  }

  /** A pool of its own. Durable commits are enforced, statements and lock waits end by themselves. */
  connect(name: string, max: number, settings: Record<string, string | number> = {}): Sql {
    const { url, socketDir } = this.#options
    return postgres(url, {
      ...(socketDir && { path: `${socketDir}/.s.PGSQL.${new URL(url).port || 5432}` }),
      max,
      types,
      connect_timeout: 5,
      max_lifetime: null,
      backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 1) * (0.5 + Math.random() / 2),
      onnotice: () => {},
      connection: {
        application_name: name,
        synchronous_commit: 'on',
        statement_timeout: 8_000,
        idle_in_transaction_session_timeout: 15_000,
        timezone: 'UTC',
        ...settings,
      },
    })
  }

  /**
   * Runs `work` in one transaction on a connection of its own. Rolls back and throws what `work` throws.
   * Reserved, because the driver's own `begin` can put BEGIN on a shared connection under load.
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, mode = ''): Promise<T> {
    const tx = await this.sql.reserve()
    try {
      await tx.unsafe(`BEGIN ${mode}`)
      const result = await work(tx)
      await tx`COMMIT`
      return result
    } catch (error) {
      await tx`ROLLBACK`.catch(() => {})
      throw error
    } finally {
      tx.release()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sql.end({ timeout: 2 })
  }
}

/** The SQLSTATE or the driver's or the system's code of an error, if it has one. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

export const UNIQUE_VIOLATION = '23505'
export const LOCK_NOT_AVAILABLE = '55P03'
export const DEADLOCK_DETECTED = '40P01'

// Classes 08 connection, 53 resources (disk full), 57 operator (shutdown, time-out), 58 system; then single ones.
const TRANSIENT =
  /^(08|53|57|58)|^(55P03|40001|40P01|25006|25P03|CONNECT|ECONN|ENOENT|EPIPE|ETIMEDOUT|EHOST|ENETUN|EAI_)/

/** Whether Postgres could not serve just now, so that the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  const code = errorCode(error)
  return code !== undefined && TRANSIENT.test(code)
}

/** Whether the connection broke, so that it is unknown whether a statement took effect. */
export function isConnectionLost(error: unknown): boolean {
  const code = errorCode(error)
  return code !== undefined && /^(08|57P0|CONNECT|ECONN|ENOENT|EPIPE|ETIMEDOUT)/.test(code)
}
