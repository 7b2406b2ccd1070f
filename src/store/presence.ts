import { MAX_WATCHED_MEMBERS } from '../protocol/constants.ts'
import type { PresenceState } from '../protocol/types.ts'
import type { Database, Sql } from './database.ts'

/** A device that is there, or was: seen and asked for something so many ms ago. */
type Sighting = {
  user_id: string
  device_id: string
  seen_ago: number
  asked_ago: number
  /** Whether a person is looking, if it said so. */
  active: boolean | null
}

/** What others are told of somebody from `turned_at` on (ms since 1970). */
type Turn = PresenceState & { turned_at: number }

type TurnRow = { user_id: string; shown: boolean; shown_at: Date; last_active_at: Date | null }

/** What commits later than it says is found if it does so within this. */
const LATE_MS = 5_000

/** Who is there, as Postgres holds it: what survives nodes, and which of them tells of a change. */
export class PresenceStore {
  readonly #sql: Sql
  readonly #leaseSpan: string
  readonly #quietSpan: string

  /** `leaseMs`: how long being there holds; `quietMs`: between two changes of one person that others are told of. */
  constructor(database: Database, leaseMs: number, quietMs: number) {
    // A lost write only means that somebody is seen a little later; one connection bounds the work.
    this.#sql = database.connect('longwave presence', 1, { synchronous_commit: 'off' })
    this.#leaseSpan = `${leaseMs} milliseconds`
    this.#quietSpan = `${quietMs} milliseconds`
  }

  /** Writes down who was seen. Returns those of them whom others believe to be away. */
  async see(sightings: readonly Sighting[]): Promise<string[]> {
    const each = <T>(pick: (sighting: Sighting) => T) => sightings.map(pick)
    const rows = await this.#sql<{ user_id: string }[]>`
      SELECT user_id FROM see_presence(
        ${each((one) => one.user_id)}::text[], ${each((one) => one.device_id)}::text[],
        ${each((one) => Math.round(one.seen_ago))}::bigint[], ${each((one) => Math.round(one.asked_ago))}::bigint[],
        ${each((one) => one.active?.toString() ?? null)}::text[]::boolean[], ${this.#leaseSpan}::interval) AS user_id`
    return rows.map((row) => row.user_id)
  }

  /**
   * Shows those who are there as online. `turned` are those whom this call turned, and nobody else did; `early` those
   * who were turned so short a time ago that it has to be tried again.
   */
  async showArrived(userIds: readonly string[]): Promise<{ turned: Turn[]; early: string[] }> {
    const turned = await this.#sql<TurnRow[]>`
      WITH due AS (
        SELECT user_id FROM presence
        WHERE user_id = ANY (${userIds as string[]}) AND NOT shown AND until > clock_timestamp()
          AND shown_at <= clock_timestamp() - ${this.#quietSpan}::interval
        ORDER BY user_id FOR NO KEY UPDATE)
      UPDATE presence p SET shown = true, shown_at = date_trunc('milliseconds', clock_timestamp()) FROM due d
      WHERE p.user_id = d.user_id RETURNING p.user_id, p.shown, p.shown_at, p.last_active_at`
    if (turned.length === userIds.length) return { turned: turned.map(toTurn), early: [] }
    const early = await this.#sql<{ user_id: string }[]>`
      SELECT user_id FROM presence
      WHERE user_id = ANY (${userIds as string[]}) AND NOT shown AND until > clock_timestamp()`
    return { turned: turned.map(toTurn), early: early.map((row) => row.user_id) }
  }

  /** Shows at most `limit` people as offline who are not there any more, and whom no other node is turning just now. */
  async hideGone(limit: number): Promise<Turn[]> {
    const rows = await this.#sql<TurnRow[]>`
      WITH due AS (
        SELECT user_id FROM presence
        WHERE shown AND until <= clock_timestamp() AND shown_at <= clock_timestamp() - ${this.#quietSpan}::interval
        LIMIT ${limit} FOR NO KEY UPDATE SKIP LOCKED)
      UPDATE presence p SET shown = false, shown_at = date_trunc('milliseconds', clock_timestamp()) FROM due d
      WHERE p.user_id = d.user_id RETURNING p.user_id, p.shown, p.shown_at, p.last_active_at`
    return rows.map(toTurn)
  }

  /**
   * Turns from `from` (ms since 1970; left out: from now) to `settleMs` ago, at most `limit`, and where to ask on from:
   * some come twice, since what is committed late must not be missed.
   */
  async turnsFrom(from: number | undefined, settleMs: number, limit: number) {
    const rows = await this.#sql<(TurnRow & { until: Date })[]>`
      SELECT p.user_id, p.shown, p.shown_at, p.last_active_at, t.until
      FROM (SELECT clock_timestamp() - ${`${settleMs} milliseconds`}::interval AS until) t
      LEFT JOIN LATERAL (
        SELECT * FROM presence WHERE shown_at >= coalesce(${from === undefined ? null : new Date(from)}::timestamptz, 'infinity') AND shown_at <= t.until
        ORDER BY shown_at LIMIT ${limit}) p ON true
      ORDER BY p.shown_at`
    const turns = rows.filter(({ user_id }) => user_id !== null).map(toTurn)
    const isCut = turns.length === limit
    return { turns, next: isCut ? (turns.at(-1)?.turned_at ?? 0) : (rows[0]?.until.getTime() ?? 0) - LATE_MS }
  }

  /** Per person those who share a direct conversation or a small group with them. */
  async watchersOf(userIds: readonly string[]): Promise<Map<string, string[]>> {
    const rows = await this.#sql<{ user_id: string; watchers: string[] }[]>`
      SELECT m.user_id, array_agg(DISTINCT o.user_id) AS watchers FROM members m
      JOIN conversations c ON c.id = m.conversation_id AND c.members_count <= ${MAX_WATCHED_MEMBERS}
      JOIN members o ON o.conversation_id = m.conversation_id AND o.user_id <> m.user_id
      WHERE m.user_id = ANY (${userIds as string[]}) GROUP BY m.user_id`
    return new Map(rows.map(({ user_id, watchers }) => [user_id, watchers]))
  }

  close(): Promise<void> {
    return this.#sql.end({ timeout: 2 })
  }
}

/** How those of `userIds` are whom `by` shares a conversation with; others are left out. */
export async function readPresence(
  sql: Sql,
  by: string,
  userIds: readonly string[],
): Promise<PresenceState[]> {
  const rows = await sql<{ user_id: string; online: boolean; last_active_at: Date | null }[]>`
    SELECT g.user_id, coalesce(p.until > clock_timestamp(), false) AS online, p.last_active_at
    FROM unnest(${userIds as string[]}::text[]) WITH ORDINALITY AS g (user_id, n)
    LEFT JOIN presence p ON p.user_id = g.user_id
    WHERE g.user_id = ${by} OR EXISTS (
      SELECT 1 FROM members a JOIN members b ON b.conversation_id = a.conversation_id
      WHERE a.user_id = g.user_id AND b.user_id = ${by})
    ORDER BY g.n`
  return rows.map(({ user_id, online, last_active_at }) => ({
    user_id,
    status: online ? 'online' : 'offline',
    last_active_at: last_active_at?.toISOString() ?? null,
  }))
}

/** Everybody in a conversation, in a direct one with those who block them; nobody if there is none. */
export async function readAudience(
  sql: Sql,
  conversation: string,
): Promise<{ user_id: string; blocked_by: string[] }[]> {
  return sql<{ user_id: string; blocked_by: string[] }[]>`
    SELECT m.user_id, ARRAY (
      SELECT b.user_id FROM blocks b JOIN members o ON o.conversation_id = m.conversation_id AND o.user_id = b.user_id
      WHERE c.kind = 'direct' AND b.blocked_id = m.user_id) AS blocked_by
    FROM members m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.conversation_id = ${conversation}`
}

function toTurn({ user_id, shown, shown_at, last_active_at }: TurnRow): Turn {
  return {
    user_id,
    status: shown ? 'online' : 'offline',
    last_active_at: last_active_at?.toISOString() ?? null,
    turned_at: shown_at.getTime(),
  }
}
