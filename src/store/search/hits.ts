import type { Fragment, Sql } from '../database.ts'
import { conversationLexeme } from './parts.ts'

/** A place in the order of results: newest first. `at`: microseconds since 1970, as exact as Postgres has it. */
export type Place = { at: number; conversation_id: string; seq: number }

/** A message that was found, and the part of its text in which. */
export type Hit = Place & { text_from: number; score: number }

export type HitRequest = {
  user: string
  conversation: string | undefined
  tsquery: string
  before: Place | undefined
  limit: number
  /** Whether `score` is wanted. */
  ranked: boolean
}

/** Words of so few conversations are looked up together with them; of more that would cost more than it spares. */
const FEW = 32

/** What the user can see, and how much there is at all. */
type Facts = { conversations: number; mine: number; all: number; few: string[] }

/**
 * The newest messages found, at most `limit`, each once. However common the words are and however much the user can see,
 * one of three ways is quick: the index of words, walking back through the user's conversations, or through everything.
 */
export async function findHits(sql: Sql, request: HitRequest): Promise<{ hits: Hit[]; has_more: boolean }> {
  const facts = await readFacts(sql, request)
  if (facts.conversations === 0) return { hits: [], has_more: false }
  const narrowed = withConversations(request, facts)
  const found = await estimate(sql, narrowed)
  const rows = await ways[cheapest(facts, found, request.limit)](sql, request, narrowed)
  // A long text may be found in several of its parts, which come one after the other.
  const hits = rows.filter(
    (row, n) => row.seq !== rows[n - 1]?.seq || row.conversation_id !== rows[n - 1]?.conversation_id,
  )
  return { hits: hits.slice(0, request.limit), has_more: rows.length > request.limit }
}

async function readFacts(sql: Sql, { user, conversation }: HitRequest): Promise<Facts> {
  const [row] = await sql<{ conversations: number; mine: number; all: number; few: string[] | null }[]>`
    SELECT count(*) AS conversations, coalesce(sum(c.last_seq - m.from_seq + 1), 0)::bigint AS mine,
      (array_agg(c.id))[1:${FEW}] AS few,
      (SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::bigint FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
        WHERE i.inhparent = 'search_words'::regclass) AS all
    FROM members m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.user_id = ${user} ${conversation === undefined ? sql`` : sql`AND m.conversation_id = ${conversation}`}`
  if (!row) throw new Error('an aggregate has one row')
  return { ...row, few: row.few ?? [] }
}

/** The query with the conversations in it, where they are few. */
function withConversations({ tsquery }: HitRequest, { conversations, few }: Facts): string {
  if (conversations > FEW) return tsquery
  return `(${tsquery}) & (${few.map((id) => `'${conversationLexeme(id)}'`).join(' | ')})`
}

/** How many messages have these words, as far as Postgres' statistics tell. */
async function estimate(sql: Sql, tsquery: string): Promise<number> {
  const literal = `'${tsquery.replaceAll("'", "''")}'::tsquery`
  const [row] = await sql.unsafe(`EXPLAIN (FORMAT JSON) SELECT 1 FROM search_words WHERE words @@ ${literal}`)
  const plan = row?.['QUERY PLAN'] as string | [{ Plan: { 'Plan Rows': number } }] | undefined
  const [{ Plan }] = typeof plan === 'string' ? JSON.parse(plan) : (plan ?? [{ Plan: { 'Plan Rows': 0 } }])
  return Plan['Plan Rows']
}

type Way = 'byWords' | 'throughMine' | 'throughAll'

/** Each way finds the same; what it costs is how many rows it looks at, a look into another index about two. */
function cheapest({ conversations, mine, all }: Facts, found: number, limit: number): Way {
  const isNarrowed = conversations <= FEW
  const ownShare = Math.min(1, mine / Math.max(all, 1))
  const foundInMine = Math.max(isNarrowed ? found : found * ownShare, 0.1)
  const walk = Math.min(mine, (conversations * limit * mine) / foundInMine)
  const costs: Record<Way, number> = {
    byWords: found,
    throughMine: 2 * conversations + walk,
    throughAll: isNarrowed ? Number.POSITIVE_INFINITY : (limit * all) / foundInMine,
  }
  const [best] = (Object.keys(costs) as Way[]).sort((a, b) => costs[a] - costs[b])
  return best ?? 'byWords'
}

const ways: Record<Way, (sql: Sql, request: HitRequest, narrowed: string) => Promise<Hit[]>> = {
  byWords: (sql, request, narrowed) => sql<Hit[]>`
    SELECT ${columns(sql, request)}
    FROM search_words s JOIN members m ON m.conversation_id = s.conversation_id AND m.user_id = ${request.user} AND s.seq >= m.from_seq
    WHERE s.words @@ ${narrowed}::tsquery AND ${isAsked(sql, request)} AND ${isBefore(sql, request)} ${page(sql, request)}`,

  // ts_match_vq() is @@ without the index of words.
  throughMine: (sql, request) => sql<Hit[]>`
    SELECT s.* FROM members m CROSS JOIN LATERAL (
      SELECT ${columns(sql, request)} FROM search_words s
      WHERE s.conversation_id = m.conversation_id AND s.seq >= m.from_seq AND ts_match_vq(s.words, ${request.tsquery}::tsquery)
        AND ${isBefore(sql, request)}
      ORDER BY s.seq DESC LIMIT ${request.limit + 1}) s
    WHERE m.user_id = ${request.user} AND ${isAsked(sql, request)}
    ORDER BY s.at DESC, s.conversation_id DESC, s.seq DESC, s.text_from LIMIT ${request.limit + 1}`,

  throughAll: (sql, request) => sql<Hit[]>`
    SELECT ${columns(sql, request)} FROM search_words s
    WHERE ts_match_vq(s.words, ${request.tsquery}::tsquery) AND ${isBefore(sql, request)}
      AND s.seq >= (SELECT m.from_seq FROM members m WHERE m.conversation_id = s.conversation_id AND m.user_id = ${request.user})
    ${page(sql, request)}`,
}

function columns(sql: Sql, { ranked, tsquery }: HitRequest): Fragment {
  return sql`s.conversation_id, s.seq, s.text_from, to_micros(s.created_at) AS at,
    ${ranked ? sql`ts_rank(s.words, ${tsquery}::tsquery)` : sql`0`}::float8 AS score`
}

function isAsked(sql: Sql, { conversation }: HitRequest): Fragment {
  return conversation === undefined ? sql`true` : sql`m.conversation_id = ${conversation}`
}

function isBefore(sql: Sql, { before }: HitRequest): Fragment {
  if (!before) return sql`true`
  return sql`(s.created_at, s.conversation_id, s.seq) < (from_micros(${before.at}), ${before.conversation_id}::uuid, ${before.seq}::bigint)`
}

function page(sql: Sql, { limit }: HitRequest): Fragment {
  return sql`ORDER BY s.created_at DESC, s.conversation_id DESC, s.seq DESC, s.text_from LIMIT ${limit + 1}`
}
