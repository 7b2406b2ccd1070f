import { performance } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { pause } from '../../pause.ts'
import { type Database, isTransient, type Sql } from '../database.ts'
import { Transactions } from '../transactions.ts'
import { PART_LENGTH, partsOf } from './parts.ts'

/** How much text a pass takes: its statements have to end long before STATEMENT_MS, whatever was said. */
const TEXT_BYTES = 256 * 1024
const IDLE_MS = 500
/** How many messages a pass takes (unless one row of the queue has more), and how many times as long it rests after it. */
const QUIET = { messages: 500, rest: 1 }
/** A node that has its hands full with those who send lets the words wait: a tenth of its time, in small pieces. */
const BUSY = { messages: 100, rest: 9 }
const BUSY_UTILIZATION = 0.3
const STATEMENT_MS = 10_000

type QueueRow = { again: boolean; conversation_ids: string[]; seqs: number[]; created_ats: string[] }
type Key = { conversation_id: string; seq: number; created_at: string }

/**
 * Brings `search_words` up to date with the texts of messages, behind the back of those who send. What is to be done is a
 * table, so a crash loses nothing; of many nodes one at a time is at it.
 */
export class SearchIndexer implements AsyncDisposable {
  readonly #transactions: Transactions
  readonly #onError: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #underWay: Promise<boolean> | undefined
  #isEnded = false
  #utilization = performance.eventLoopUtilization()
  #pace = QUIET
  /** Something in the queue cannot be done: rows go one by one, until it is found. */
  #isWary = false

  constructor(database: Database, onError: (error: unknown) => void) {
    this.#onError = onError
    // A commit that a crash takes back is done again: the queue comes back with it.
    const settings = { statement_timeout: STATEMENT_MS, synchronous_commit: 'off' }
    const connect = (onClose: () => void) => database.connect('longwave search indexer', 1, settings, onClose)
    this.#transactions = new Transactions(connect, 1)
    this.#schedule(IDLE_MS)
  }

  /**
   * Does one pass that begins now, or waits `patienceMs` for it: unless there is more to do than one takes, whoever then
   * searches finds what was said a moment ago.
   */
  async catchUp(patienceMs: number): Promise<void> {
    const isOver = pause(patienceMs)
    await Promise.race([isOver, this.#underWay?.catch(() => {})])
    if (!this.#isEnded) await Promise.race([isOver, this.#pass().catch(() => {})])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true
    clearTimeout(this.#timer)
    await this.#underWay?.catch(() => {})
    await this.#transactions.end()
  }

  #schedule(ms: number): void {
    if (this.#isEnded) return
    this.#timer = setTimeout(() => void this.#work(), ms).unref()
  }

  async #work(): Promise<void> {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization)
    this.#utilization = now
    this.#pace = utilization > BUSY_UTILIZATION ? BUSY : QUIET
    const begun = performance.now()
    const hasMore = await this.#pass().catch((error: unknown) => {
      this.#onError(error)
      return false
    })
    this.#schedule(hasMore ? (performance.now() - begun) * this.#pace.rest : IDLE_MS)
  }

  /** One transaction. True if there may be more to do. */
  #pass(): Promise<boolean> {
    this.#underWay ??= this.#run().finally(() => {
      this.#underWay = undefined
    })
    return this.#underWay
  }

  async #run(): Promise<boolean> {
    try {
      const count = await this.#transactions.run((tx) => index(tx, this.#isWary ? 1 : this.#pace.messages))
      if (count > 0) this.#isWary = false
      return count > 0
    } catch (error) {
      if (isTransient(error)) throw error
      if (this.#isWary) await this.#transactions.run((tx) => takeFromQueue(tx, 1))
      else this.#isWary = true
      throw error
    }
  }
}

/** How many rows of the queue were done. None if another node is at it. */
async function index(tx: Sql, messages: number): Promise<number> {
  const [lock] = await tx<{ taken: boolean; waiting: boolean }[]>`
    SELECT pg_try_advisory_xact_lock(hashtext('longwave search')) AS taken, EXISTS (SELECT 1 FROM search_queue) AS waiting`
  if (!lock?.taken || !lock.waiting) return 0
  const rows = await takeFromQueue(tx, messages)
  const keys = new Map<string, Key & { again: boolean }>()
  for (const { again, conversation_ids, seqs, created_ats } of rows) {
    for (const [n, conversation_id] of conversation_ids.entries()) {
      const [seq, created_at] = [seqs[n] ?? 0, created_ats[n] ?? '']
      const key = `${conversation_id}/${seq}/${created_at}`
      keys.set(key, { conversation_id, seq, created_at, again: again || keys.get(key)?.again === true })
    }
  }
  const stale = [...keys.values()].filter((key) => key.again)
  if (stale.length > 0) await forget(tx, stale)
  const later = await write(tx, [...keys.values()])
  if (later.length > 0) await putBack(tx, later)
  return rows.length
}

async function takeFromQueue(tx: Sql, messages: number): Promise<QueueRow[]> {
  return tx<QueueRow[]>`
    DELETE FROM search_queue q USING (
      SELECT id, sum(cardinality(seqs)) OVER (ORDER BY id) - cardinality(seqs) AS before
        FROM (SELECT id, seqs FROM search_queue ORDER BY id LIMIT ${messages}) f) g
    WHERE q.id = g.id AND g.before < ${messages}
    RETURNING q.again, q.conversation_ids, q.seqs, q.created_ats::text[] AS created_ats`
}

async function putBack(tx: Sql, keys: readonly Key[]): Promise<void> {
  await tx`
    INSERT INTO search_queue (conversation_ids, seqs, created_ats)
    SELECT array_agg(k.conversation_id), array_agg(k.seq), array_agg(k.created_at) FROM ${unnested(tx, keys)}`
}

async function forget(tx: Sql, keys: readonly Key[]): Promise<void> {
  await tx`
    DELETE FROM search_words s USING (SELECT * FROM ${unnested(tx, keys)}) g
    WHERE s.conversation_id = g.conversation_id AND s.seq = g.seq AND s.created_at = g.created_at`
}

function unnested(tx: Sql, keys: readonly Key[]) {
  return tx`unnest(${keys.map((key) => key.conversation_id)}::uuid[], ${keys.map((key) => key.seq)}::bigint[],
    ${keys.map((key) => key.created_at)}::text[]::timestamptz[]) AS k (conversation_id, seq, created_at)`
}

/**
 * Writes the words of as many as TEXT_BYTES allow, the shortest first: a heap of long texts keeps no other waiting. At least
 * of one. Returns the others.
 */
async function write(tx: Sql, keys: readonly Key[]): Promise<Key[]> {
  const times = keys.map((key) => key.created_at).sort()
  const messages = await tx<(Key & { text: string | null })[]>`
    SELECT f.conversation_id, f.seq, f.created_at::text AS created_at,
      CASE WHEN f.up_to - octet_length(f.text) < ${TEXT_BYTES} THEN f.text END AS text
    FROM (
      SELECT m.conversation_id, m.seq, m.created_at, m.text, sum(octet_length(m.text)) OVER (ORDER BY octet_length(m.text) ROWS UNBOUNDED PRECEDING) AS up_to
      FROM ${unnested(tx, keys)} JOIN messages m USING (conversation_id, seq, created_at)
      WHERE m.text <> '' AND m.deleted_at IS NULL
        AND m.created_at BETWEEN ${times[0] ?? ''}::text::timestamptz AND ${times.at(-1) ?? ''}::text::timestamptz) f`
  const later: Key[] = []
  const rows: (Key & { text_from: number; words: string })[] = []
  for (const { text, ...key } of messages) {
    if (text === null) {
      later.push(key)
      continue
    }
    for (const part of partsOf(text, key.conversation_id)) {
      rows.push({ ...key, ...part })
      if (text.length > PART_LENGTH) await turn()
    }
  }
  if (rows.length === 0) return later
  await tx`
    INSERT INTO search_words (conversation_id, seq, created_at, text_from, words)
    SELECT g.conversation_id, g.seq, g.created_at::timestamptz, g.text_from, g.words::tsvector
    FROM unnest(${rows.map((row) => row.conversation_id)}::uuid[], ${rows.map((row) => row.seq)}::bigint[],
      ${rows.map((row) => row.created_at)}::text[], ${rows.map((row) => row.text_from)}::bigint[],
      ${rows.map((row) => row.words)}::text[]) AS g (conversation_id, seq, created_at, text_from, words)
    ON CONFLICT DO NOTHING`
  return later
}
