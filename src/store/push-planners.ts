import type { Database, Sql } from './database.ts'

/** A node that has died, and its mark as Postgres writes it. */
export type DeadNode = { node: string; planned_until: string }
/** A span of time in which nodes that died may have left messages undecided. */
export type OwedSpan = { dead: DeadNode[]; from: Date; until: Date }

/** How far each node has come in deciding whom to wake: what another has to go through again where one died. */
export class PushPlanners {
  readonly #sql: Sql
  readonly #node: string
  readonly #staleSpan: string

  /** A node that has not said for `staleMs` that it lives is dead. */
  constructor(database: Database, node: string, staleMs: number) {
    this.#sql = database.sql
    this.#node = node
    this.#staleSpan = `${staleMs} milliseconds`
  }

  /** Says that this node lives and has decided all that is older than `undecidedMs`, and that it sees to `nodes`. */
  async beat(undecidedMs: number, nodes: readonly string[]): Promise<void> {
    await this.#sql`
      WITH others AS (UPDATE push_planners SET beat_at = clock_timestamp() WHERE node = ANY (${nodes as string[]}))
      INSERT INTO push_planners AS p (node, planned_until, beat_at)
      VALUES (${this.#node}, clock_timestamp() - ${`${Math.round(undecidedMs)} milliseconds`}::interval, clock_timestamp())
      ON CONFLICT (node) DO UPDATE SET planned_until = excluded.planned_until, beat_at = excluded.beat_at`
  }

  /** Goes away: with something undecided others go through it at once. */
  async leave(isAllDecided: boolean): Promise<void> {
    if (isAllDecided) await this.#sql`DELETE FROM push_planners WHERE node = ${this.#node}`
    else await this.#sql`UPDATE push_planners SET beat_at = '-infinity' WHERE node = ${this.#node}`
  }

  /** Sees to what dead nodes left. Should this one die too, or never hear the answer, they are dead again soon. */
  async takeOver(): Promise<OwedSpan | undefined> {
    const [row] = await this.#sql<{ dead: DeadNode[] | null; from: Date; until: Date }[]>`
      WITH dead AS (
        UPDATE push_planners SET beat_at = clock_timestamp() WHERE node IN (
          SELECT node FROM push_planners WHERE beat_at < clock_timestamp() - ${this.#staleSpan}::interval AND node <> ${this.#node}
          ORDER BY node FOR UPDATE SKIP LOCKED)
        RETURNING node, planned_until)
      SELECT json_agg(json_build_object('node', node, 'planned_until', planned_until::text)) AS dead, min(planned_until) AS from,
        clock_timestamp() AS until FROM dead`
    return row?.dead ? { dead: row.dead, from: row.from, until: row.until } : undefined
  }

  /** All that these nodes left has been gone through. One that was not dead after all says so by another mark. */
  async forget(dead: readonly DeadNode[]): Promise<void> {
    await this.#sql`
      DELETE FROM push_planners p USING json_to_recordset(${JSON.stringify(dead)}::text::json) AS g (node text, planned_until timestamptz)
      WHERE p.node = g.node AND p.planned_until = g.planned_until`
  }
}
