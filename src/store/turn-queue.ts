import PgBoss from 'pg-boss'
import type { Database, Sql } from './database.ts'

/** Turns: of each person one at a time, on one node. Later: whose turn it is to be then. */
const TURNS = 'push-turns'
const LATER = 'push-later'
const SUPERVISE_SECONDS = 5
const RETENTION_SECONDS = 3 * 86_400
/** Expiring costs a try each time; whether to give up is decided elsewhere. */
const RETRY_LIMIT = 10_000
/** How often is looked for turns that were to be later. */
const LATER_MS = 250
const INSTALL_MS = 60_000
/** Any constant: nodes that start together install one after the other. */
const INSTALL_LOCK = 0x10_9a7f

/** Somebody's turn, taken by this node. */
export type Turn = { id: string; user_id: string }
/** Somebody whose turn is to be in so many ms. */
export type Due = { user_id: string; due_ms: number }

/** Turns of people, durable in Postgres by pg-boss. What a turn is for stands elsewhere: one too many does no harm. */
export class TurnQueue implements AsyncDisposable {
  readonly #sql: Sql
  readonly #boss: PgBoss
  readonly #closing: AbortController
  #laterAt = 0

  private constructor(sql: Sql, boss: PgBoss, closing: AbortController) {
    this.#sql = sql
    this.#boss = boss
    this.#closing = closing
  }

  /**
   * Makes pg-boss's schema, or brings it up to date, as the owner of ours. A turn not done within `expireSeconds` was its
   * node's end: another takes it.
   */
  static async open(
    database: Database,
    expireSeconds: number,
    onError: (error: unknown) => void,
  ): Promise<TurnQueue> {
    const installing = database.connect('longwave push installation', 1, { statement_timeout: INSTALL_MS })
    try {
      // It makes its schema by itself, but not while another node does.
      await installing`SELECT pg_advisory_lock(${INSTALL_LOCK})`
      const installer = bossOver(installing, onError)
      await installer.start()
      await installer.stop({ graceful: false, close: false })
    } finally {
      await installing.end({ timeout: 2 })
    }
    // Plans of a queue that was empty once would read all that was ever in it. What a crash of Postgres takes from a queue is
    // found again: a turn that was given in what is overdue, one that was taken or over is taken once more.
    const sql = database.connect('longwave push queue', 1, {
      enable_seqscan: 'off',
      synchronous_commit: 'off',
    })
    const closing = new AbortController()
    // Its supervision may be under way when the connection ends.
    const boss = bossOver(sql, (error) => closing.signal.aborted || onError(error))
    await boss.start()
    const options = {
      expireInSeconds: expireSeconds,
      retentionSeconds: RETENTION_SECONDS,
      retryLimit: RETRY_LIMIT,
    }
    for (const [name, policy] of [
      [TURNS, 'exclusive'],
      [LATER, 'standard'],
    ] as const) {
      await boss.createQueue(name, { policy, ...options })
      await boss.updateQueue(name, options)
    }
    return new TurnQueue(sql, boss, closing)
  }

  /** Gives turns, now or then. Whoever has one already, waiting or under way, gets no other. */
  async add(dues: readonly Due[]): Promise<void> {
    const now = dues.filter(({ due_ms }) => due_ms <= 0).map(({ user_id }) => user_id)
    await this.#addNow(new Set(now))
    const jobs = dues.flatMap(({ user_id, due_ms }) => {
      const startAfter = `${(due_ms / 1_000).toFixed(3)} seconds`
      return due_ms > 0 ? [{ name: LATER, data: { user_id }, startAfter }] : []
    })
    if (jobs.length > 0) await this.#boss.insert(LATER, jobs)
  }

  /** At most `limit` turns that nobody else has, the oldest first. */
  async take(limit: number): Promise<Turn[]> {
    await this.#takeLater(limit)
    const jobs = await this.#boss.fetch<{ user_id: string }>(TURNS, { batchSize: limit, priority: false })
    return jobs.map(({ id, data }) => ({ id, user_id: data.user_id }))
  }

  /** The turns are over. What is due since must be looked for after that: whoever has a turn gets no other. */
  async finish(turns: readonly Turn[]): Promise<void> {
    if (turns.length > 0) await this.#boss.deleteJob(TURNS, idsOf(turns))
  }

  /** Those whose time has come are given a turn now. */
  async #takeLater(limit: number): Promise<void> {
    const now = performance.now()
    if (now < this.#laterAt) return
    const later = await this.#boss.fetch<{ user_id: string }>(LATER, { batchSize: limit, priority: false })
    // There may be more of them.
    this.#laterAt = later.length === limit ? now : now + LATER_MS
    if (later.length === 0) return
    await this.#addNow(new Set(later.map(({ data }) => data.user_id)))
    await this.#boss.deleteJob(LATER, idsOf(later))
  }

  async #addNow(userIds: Set<string>): Promise<void> {
    const jobs = [...userIds].map((user_id) => ({ name: TURNS, data: { user_id }, singletonKey: user_id }))
    if (jobs.length > 0) await this.#boss.insert(TURNS, jobs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#boss.stop({ graceful: false, close: false })
    await this.#sql.end({ timeout: 2 })
  }
}

function idsOf(jobs: readonly { id: string }[]): string[] {
  return jobs.map(({ id }) => id)
}

function bossOver(sql: Sql, onError: (error: unknown) => void): PgBoss {
  const boss = new PgBoss({
    db: bossDatabase(sql, onError),
    schema: 'pgboss',
    schedule: false,
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    monitorIntervalSeconds: SUPERVISE_SECONDS,
    maintenanceIntervalSeconds: 3_600,
    warningQueueSize: 1_000_000,
  })
  // These are statements that failed, and those were told of.
  return boss.on('error', () => {})
}

/**
 * Our driver as pg-boss expects one: texts for json parameters, which ours would encode once more, and no BEGIN, which would
 * be left open after an error: statements sent at once are one transaction. Errors are told here as fetch() swallows them,
 * and only the first of a row.
 */
export function bossDatabase(sql: Sql, onError: (error: unknown) => void): PgBoss.Db {
  let hasFailed = false
  return {
    async executeSql(text: string, values: unknown[] = []) {
      const statement = text
        .replace(/^\s*BEGIN;/, '')
        .replace(/COMMIT;\s*$/, '')
        .replaceAll(/\$(\d+)::(jsonb?)\b/g, '$$$1::text::$2')
      const parameters = values.map((value) => (isPlain(value) ? JSON.stringify(value) : value))
      try {
        const result = await sql.unsafe(statement, parameters as string[])
        hasFailed = false
        // Of several statements the driver gives a list of results.
        return { rows: (result as unknown[]).flat() }
      } catch (error) {
        if (!hasFailed) onError(error)
        hasFailed = true
        throw error
      }
    },
  }
}

function isPlain(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
