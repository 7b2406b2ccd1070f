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

/** Words of so few conversations can be looked up together with them; of more that would cost more than it spares. */
const FEW = 32
/** A walk that has seen so many times what it was expected to is given up. */
const PATIENCE = 4
const MIN_STEPS = 5_000

/** What the user can see, and how much there is at all. */
type Facts = {
  conversations: number
  mine: number
  all: number
  /** The conversations and how many messages each has, where they are few. */
  few: string[]
  sizes: number[]
}

type Way = 'byWords' | 'throughMine' | 'throughAll'
type Plan = { way: Way; tsquery: string; steps: number }

/**
 * The newest messages found, at most `limit`, each once. However common the words are and however much the user can see,
 * one of three ways is quick: the index of words, walking back through the user's conversations, or through everything.
 */
export async function findHits(sql: Sql, request: HitRequest): Promise<{ hits: Hit[]; has_more: boolean }> {
  const facts = await readFacts(sql, request)
  if (facts.conversations === 0) return { hits: [], has_more: false }
  const frequency = await estimate(sql, request.tsquery)
  const plan = choose(facts, frequency, request)
  const walked = await ways[plan.way](sql, request, plan)
  const end = walked.findIndex((row) => row.is_end)
  // What it was going by was wrong: the words are rare where it walked.
  const rows =
    end === -1
      ? walked
      : await ways.byWords(sql, request, { ...plan, tsquery: withConversations(request, facts) })
  // A long text may be found in several of its parts, which come one after the other.
  const hits = rows.filter(
    (row, n) => row.seq !== rows[n - 1]?.seq || row.conversation_id !== rows[n - 1]?.conversation_id,
  )
  return { hits: hits.slice(0, request.limit), has_more: rows.length > request.limit }
}

async function readFacts(sql: Sql, { user, conversation }: HitRequest): Promise<Facts> {
  const [row] = await sql<
    (Omit<Facts, 'few' | 'sizes'> & { few: string[] | null; sizes: number[] | null })[]
  >`
    SELECT count(*) AS conversations, coalesce(sum(c.last_seq - m.from_seq + 1), 0)::bigint AS mine,
      (array_agg(c.id))[1:${FEW}] AS few, (array_agg(c.last_seq - m.from_seq + 1))[1:${FEW}] AS sizes,
      (SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::bigint FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
        WHERE i.inhparent = 'search_words'::regclass) AS all
    FROM members m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.user_id = ${user} ${conversation === undefined ? sql`` : sql`AND m.conversation_id = ${conversation}`}`
  if (!row) throw new Error('an aggregate has one row')
  return { ...row, few: row.few ?? [], sizes: row.sizes ?? [] }
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

/** Each way finds the same. What it costs is counted in microseconds, about. */
function choose(facts: Facts, frequency: number, request: HitRequest): Plan {
  const { conversations, mine, all, sizes } = facts
  const isFew = conversations <= FEW
  const foundInMine = Math.max(frequency * Math.min(1, mine / Math.max(all, 1)), 0.1)
  const stepsInEach = (request.limit * mine) / foundInMine
  const stepsInAll = (request.limit * all) / foundInMine
  const walk = isFew
    ? sizes.reduce((sum, size) => sum + Math.min(size, stepsInEach), 0)
    : Math.min(mine, conversations * stepsInEach)
  const narrowed = 3 * Math.min(frequency, mine) + 4 * foundInMine
  const isNarrow = isFew && narrowed < 4 * frequency
  const costs: Record<Way, number> = {
    byWords: isNarrow ? narrowed : 4 * frequency,
    throughMine: 4 * conversations + 2 * walk,
    throughAll: isFew ? Number.POSITIVE_INFINITY : 2 * stepsInAll,
  }
  const [way = 'byWords'] = (Object.keys(costs) as Way[]).sort((a, b) => costs[a] - costs[b])
  const steps = PATIENCE * (way === 'throughAll' ? stepsInAll : stepsInEach)
  const tsquery = isNarrow && way === 'byWords' ? withConversations(request, facts) : request.tsquery
  return { way, tsquery, steps: Math.ceil(Math.min(Math.max(steps, MIN_STEPS), all + MIN_STEPS)) }
}

/** `is_end`: no result, but how far a walk came. */
type Row = Hit & { is_end: boolean }

const ways: Record<Way, (sql: Sql, request: HitRequest, plan: Plan) => Promise<Row[]>> = {
  // Materialized: with the order and the limit in sight, the planner would rather walk.
  byWords: (sql, request, { tsquery }) => sql<Row[]>`
    WITH found AS MATERIALIZED (
      SELECT s.conversation_id, s.seq, s.text_from, s.created_at, ${score(sql, request)} AS score
      FROM search_words s WHERE s.words @@ ${tsquery}::tsquery AND ${isBefore(sql, request)})
    SELECT s.conversation_id, s.seq, s.text_from, to_micros(s.created_at) AS at, s.score, false AS is_end
    FROM found s JOIN members m ON m.conversation_id = s.conversation_id AND s.seq >= m.from_seq
    WHERE m.user_id = ${request.user} AND ${isAsked(sql, request)}
    ORDER BY s.created_at DESC, s.conversation_id DESC, s.seq DESC, s.text_from LIMIT ${request.limit + 1}`,

  throughMine: (sql, request, { tsquery, steps }) => sql<Row[]>`
    SELECT s.conversation_id, s.seq, s.text_from, to_micros(s.created_at) AS at, ${score(sql, request)} AS score, s.is_end
    FROM members m CROSS JOIN LATERAL (
      SELECT w.*, NOT ts_match_vq(w.words, ${tsquery}::tsquery) AS is_end FROM (
        SELECT s.*, row_number() OVER (ORDER BY s.seq DESC) AS step FROM search_words s
        WHERE s.conversation_id = m.conversation_id AND s.seq >= m.from_seq AND ${isBefore(sql, request)}
        ORDER BY s.seq DESC LIMIT ${steps}) w
      WHERE ts_match_vq(w.words, ${tsquery}::tsquery) OR w.step = ${steps}
      ORDER BY w.seq DESC LIMIT ${request.limit + 1}) s
    WHERE m.user_id = ${request.user} AND ${isAsked(sql, request)}
    ORDER BY s.created_at DESC, s.conversation_id DESC, s.seq DESC, s.text_from LIMIT ${request.limit + 1}`,

  throughAll: (sql, request, { tsquery, steps }) => sql<Row[]>`
    SELECT s.conversation_id, s.seq, s.text_from, to_micros(s.created_at) AS at, ${score(sql, request)} AS score, NOT h.is_hit AS is_end
    FROM (
      SELECT s.*, row_number() OVER (ORDER BY s.created_at DESC, s.conversation_id DESC, s.seq DESC) AS step
      FROM search_words s WHERE ${isBefore(sql, request)}
      ORDER BY s.created_at DESC, s.conversation_id DESC, s.seq DESC LIMIT ${steps}) s
    CROSS JOIN LATERAL (SELECT ts_match_vq(s.words, ${tsquery}::tsquery) AND coalesce(s.seq >= (
      SELECT m.from_seq FROM members m WHERE m.conversation_id = s.conversation_id AND m.user_id = ${request.user}), false)) h (is_hit)
    WHERE h.is_hit OR s.step = ${steps}
    ORDER BY s.created_at DESC, s.conversation_id DESC, s.seq DESC, s.text_from LIMIT ${request.limit + 1}`,
}

function score(sql: Sql, { ranked, tsquery }: HitRequest): Fragment {
  return ranked ? sql`ts_rank(s.words, ${tsquery}::tsquery)::float8` : sql`0::float8`
}

function isAsked(sql: Sql, { conversation }: HitRequest): Fragment {
  return conversation === undefined ? sql`true` : sql`m.conversation_id = ${conversation}`
}

function isBefore(sql: Sql, { before }: HitRequest): Fragment {
  if (!before) return sql`true`
  return sql`(s.created_at, s.conversation_id, s.seq) < (from_micros(${before.at}), ${before.conversation_id}::uuid, ${before.seq}::bigint)`
}
