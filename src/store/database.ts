import postgres from 'postgres'
import { arrayTypes } from './array-types.ts'
import { type Address, connectCoupled } from './coupled-socket.ts'
import { tlsMode } from './secure-socket.ts'
import { SilenceWatch } from './silence.ts'
import { Transactions } from './transactions.ts'
import { withWholeResults } from './whole-results.ts'

const BIGINT_OID = 20

// 64-bit numbers of ours (seq, inbox ids) stay far below 2^53.
const types = {
  bigint: {
    to: BIGINT_OID,
    from: [BIGINT_OID],
    serialize: (value: number) => String(value),
    parse: (text: string) => Number(text),
  },
  ...arrayTypes,
}

export type Sql = postgres.Sql
/** A piece of a query. */
export type Fragment = postgres.Fragment
/** The connection of a transaction under way. */
export type Transaction = Sql

export type DatabaseOptions = {
  /** `postgres://…` */
  url: string
  /** Directory of a Unix socket, used instead of the URL's host; cheaper per round trip. */
  socketDir?: string | undefined
  /** Connections for single statements, and for transactions. */
  maxConnections?: number
  maxTransactions?: number
}

/**
 * The driver forgets a write that it had scheduled when its connection closes, and then waits for ever to send the next
 * start-up message. One over 1 KB it sends at once; Postgres ignores the blanks.
 */
const FLUSHING_OPTIONS = ' '.repeat(1_024)

/** Longer, and a statement is cancelled. */
const STATEMENT_MS = 5_000
/** How long the answer to a cancelled statement may take before its connection is taken for dead. */
const SILENCE_MS = 1_500

/** The door to Postgres: pools, transactions, and what a failure means. */
export class Database implements AsyncDisposable {
  /** For single statements that are not hot. */
  readonly sql: Sql
  readonly #options: DatabaseOptions
  readonly #transactions: Transactions

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.sql = this.connect('longwave', options.maxConnections ?? 8)
    const connect = (onClose: () => void) => this.connect('longwave transaction', 1, {}, onClose)
    this.#transactions = new Transactions(connect, options.maxTransactions ?? 8)
  }

  /** A pool of its own. Durable commits are enforced, statements and lock waits end by themselves. */
  connect(
    name: string,
    max: number,
    settings: Record<string, number | string> & { statement_timeout?: number } = {},
    onClose: () => void = () => {},
  ): Sql {
    const { url, socketDir } = this.#options
    const { statement_timeout = STATEMENT_MS } = settings
    const tls = tlsMode(url)
    let servers: Address | undefined
    let attempts = 0
    let watch: SilenceWatch | undefined
    const options = {
      ...(socketDir && { path: `${socketDir}/.s.PGSQL.${new URL(url).port || 5432}` }),
      max,
      types,
      connect_timeout: 3,
      // A standby would answer from the past: it is left alone until it is promoted.
      target_session_attrs: 'primary' as const,
      max_lifetime: null,
      fetch_types: false,
      // Seconds. Short, since whoever asks meanwhile waits for it before being told that Postgres is away.
      backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 0.3) * (0.5 + Math.random() / 2),
      onnotice: () => {},
      onclose: onClose,
      // Done by the socket, where the URL asks for it.
      ssl: false,
      // An option that the driver takes but does not declare.
      socket: (address: Address) => {
        servers ??= { ...address, host: [...address.host] }
        // Where there are several the driver tries without a pause, and tells nobody, until one answers.
        address.host.length = 1
        const socket = connectCoupled(servers, attempts++, tls)
        watch?.add(socket)
        return socket
      },
      connection: {
        application_name: name,
        synchronous_commit: 'on',
        // A group is planned to read thousands of rows and reads dozens: compiling it would take longer than running it.
        jit: 'off',
        statement_timeout,
        // A node that is frozen in a transaction must not hold its locks for long.
        idle_in_transaction_session_timeout: 5_000,
        timezone: 'UTC',
        options: FLUSHING_OPTIONS,
        ...settings,
      },
    }
    const sql = withWholeResults(postgres(url, options) as unknown as Sql)
    // What may take any time, as migrations may, cannot be told from a dead connection.
    if (statement_timeout > 0) watch = new SilenceWatch(sql, statement_timeout + SILENCE_MS, max)
    const { end } = sql
    return Object.assign(sql, {
      end(how?: { timeout?: number }) {
        watch?.[Symbol.dispose]()
        return end(how)
      },
    })
  }

  /** Runs `work` in one transaction, on a connection that it has to itself. Rolls back and throws what `work` throws. */
  transaction<T>(work: (tx: Transaction) => Promise<T>, mode = ''): Promise<T> {
    return this.#transactions.run(work, mode)
  }

  /** The same on a connection made for it, where a statement may take `statement_timeout` ms. */
  async longTransaction<T>(
    name: string,
    statement_timeout: number,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const connect = (onClose: () => void) => this.connect(name, 1, { statement_timeout }, onClose)
    const apart = new Transactions(connect, 1)
    try {
      return await apart.run(work)
    } finally {
      await apart.end()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.sql.end({ timeout: 2 }), this.#transactions.end()])
  }
}

/** The SQLSTATE or the driver's or the system's code of an error, if it has one. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

export const UNIQUE_VIOLATION = '23505'
export const LOCK_NOT_AVAILABLE = '55P03'
/** By statement_timeout. */
export const QUERY_CANCELED = '57014'
export const DEADLOCK_DETECTED = '40P01'
/** Raised by current_epoch(): the server was promoted or changed its standbys; settle_epoch() and do it again. */
export const EPOCH_UNSETTLED = 'LW001'

// Classes 08 connection, 53 resources (disk full), 57 operator (shutdown, time-out), 58 system; then single ones.
const TRANSIENT =
  /^(08|53|57|58)|^(LW001|55P03|40001|40P01|25006|25P03|CONNECT|ECONN|ENOENT|EPIPE|ETIMEDOUT|EHOST|ENETUN|EAI_)/

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
