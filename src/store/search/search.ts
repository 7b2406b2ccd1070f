import { notFound } from '../../protocol/problems.ts'
import type { FoundMessage } from '../../protocol/types.ts'
import type { Database, Sql } from '../database.ts'
import { type MessageRecord, messageColumns, toMessage } from '../message-record.ts'
import { findHits, type Hit, type Place } from './hits.ts'
import type { SearchIndexer } from './indexer.ts'
import { PART_LENGTH } from './parts.ts'
import { parseQuery, type SearchQuery } from './query.ts'
import { snippetOf } from './snippet.ts'

/** A search that takes longer is given up. */
const STATEMENT_MS = 3_000
/** So few at a time, lest searches take the machine from those who send. */
const CONNECTIONS = 2
/** How long a search waits at most for what was said a moment ago; it usually takes a few. */
const CATCH_UP_MS = 500
/** Of how many, the newest, the best are found. */
const RANKED = 500

export type SearchRequest = {
  user: string
  query: string
  conversation?: string | undefined
  order: 'time' | 'rank'
  limit: number
  before?: SearchPosition | undefined
}

/** Behind which result a page begins; with `rank` also among which results, those up to `newest`, the best were chosen. */
export type SearchPosition = Place & { rank?: { of: number; newest: Place } | undefined }

export type SearchPage = { message: FoundMessage; position: SearchPosition }[]

/** Full text over what one may see. */
export class Search implements AsyncDisposable {
  readonly #sql: Sql
  readonly #indexer: SearchIndexer

  constructor(database: Database, indexer: SearchIndexer) {
    // Which plan is best depends on how common the words are.
    this.#sql = database.connect('longwave search', CONNECTIONS, {
      statement_timeout: STATEMENT_MS,
      plan_cache_mode: 'force_custom_plan',
      enable_seqscan: 'off',
    })
    this.#indexer = indexer
  }

  /** A page of what is found, and whether there is more. Throws Problem not_found for a stranger's conversation. */
  async find(request: SearchRequest): Promise<{ page: SearchPage; has_more: boolean }> {
    const query = parseQuery(request.query)
    await this.#indexer.catchUp(CATCH_UP_MS)
    const { user, conversation, limit, before, order } = request
    if (conversation !== undefined) await this.#requireMember(user, conversation)
    if (!query) return { page: [], has_more: false }
    const base = { user, conversation, tsquery: query.tsquery }
    const { hits, has_more } =
      order === 'time'
        ? await findHits(this.#sql, { ...base, before, limit, ranked: false })
        : await this.#findBest(base, limit, before)
    return { page: await this.#read(user, hits, query), has_more }
  }

  async #requireMember(user: string, conversation: string): Promise<void> {
    const [row] = await this.#sql`
      SELECT 1 FROM members WHERE conversation_id = ${conversation} AND user_id = ${user}`
    if (!row) throw notFound('conversation')
  }

  async #findBest(
    base: { user: string; conversation: string | undefined; tsquery: string },
    limit: number,
    before: SearchPosition | undefined,
  ) {
    const newest = before?.rank?.newest
    const upTo = newest && { ...newest, seq: newest.seq + 1 }
    const { hits } = await findHits(this.#sql, { ...base, before: upTo, limit: RANKED, ranked: true })
    const first = hits[0]
    const anchor = newest ?? first
    const sorted = hits
      .map((hit) => ({ ...hit, rank: { of: hit.score, newest: anchor ?? hit } }))
      .sort((a, b) => b.rank.of - a.rank.of || -compare(a, b))
    const rest = before
      ? sorted.filter(
          (hit) =>
            hit.score < (before.rank?.of ?? 0) || (hit.score === before.rank?.of && compare(hit, before) < 0),
        )
      : sorted
    return { hits: rest.slice(0, limit), has_more: rest.length > limit }
  }

  /** Their messages as they are now; what was deleted a moment ago is left out, and so is what may not be seen any more. */
  async #read(
    user: string,
    hits: (Hit & { rank?: SearchPosition['rank'] })[],
    query: SearchQuery,
  ): Promise<SearchPage> {
    if (hits.length === 0) return []
    const sql = this.#sql
    const times = hits.map((hit) => hit.at)
    const rows = await sql<(MessageRecord & { n: number; part: string; goes_on: boolean })[]>`
      SELECT g.n, ${messageColumns(sql)}, substring(w.text FROM g.text_from::int + 1 FOR ${PART_LENGTH}) AS part,
        char_length(w.text) > g.text_from + ${PART_LENGTH} AS goes_on
      FROM unnest(${hits.map((hit) => hit.conversation_id)}::uuid[], ${hits.map((hit) => hit.seq)}::bigint[],
        ${times}::bigint[], ${hits.map((hit) => hit.text_from)}::bigint[])
        WITH ORDINALITY AS g (conversation_id, seq, at, text_from, n)
      JOIN members mb ON mb.conversation_id = g.conversation_id AND mb.user_id = ${user} AND mb.from_seq <= g.seq
      JOIN inline_messages m ON m.conversation_id = g.conversation_id AND m.seq = g.seq AND m.created_at = from_micros(g.at)
      JOIN messages w ON w.conversation_id = g.conversation_id AND w.seq = g.seq AND w.created_at = from_micros(g.at)
      WHERE m.deleted_at IS NULL
        AND m.created_at BETWEEN from_micros(${Math.min(...times)}) AND from_micros(${Math.max(...times)})
        AND w.created_at BETWEEN from_micros(${Math.min(...times)}) AND from_micros(${Math.max(...times)})
      ORDER BY g.n`
    return rows.flatMap((row) => {
      const hit = hits[row.n - 1]
      if (!hit) return []
      const cut = { before: hit.text_from > 0, behind: row.goes_on }
      const { conversation_id, seq, at, rank } = hit
      const message = { ...toMessage(row), snippet: snippetOf(row.part, query, cut) }
      return [{ message, position: { conversation_id, seq, at, rank } }]
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql.end({ timeout: 2 })
  }
}

/** By time, then as Postgres orders them. */
function compare(a: Place, b: Place): number {
  if (a.at !== b.at) return a.at - b.at
  if (a.conversation_id !== b.conversation_id) return a.conversation_id < b.conversation_id ? -1 : 1
  return a.seq - b.seq
}
