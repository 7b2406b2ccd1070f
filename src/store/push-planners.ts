import type { Database, Sql } from './database.ts'

/** A span of time in which a node may have left messages undecided. */
export type OwedSpan = { from: Date; until: Date }

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

  /** Says that this node lives and has decided all that is older than `undecidedMs`. */
  async beat(undecidedMs: number): Promise<void> {
    await this.#sql`
      INSERT INTO push_planners AS p (node, planned_until, beat_at)
      VALUES (${this.#node}, clock_timestamp() - ${`${Math.round(undecidedMs)} milliseconds`}::interval, clock_timestamp())
      ON CONFLICT (node) DO UPDATE SET planned_until = excluded.planned_until, beat_at = excluded.beat_at`
  }

  /** Goes away: with something undecided others go through it at once. */
  async leave(isAllDecided: boolean): Promise<void> {
    if (isAllDecided) await this.#sql`DELETE FROM push_planners WHERE node = ${this.#node}`
    else await this.#sql`UPDATE push_planners SET beat_at = '-infinity' WHERE node = ${this.#node}`
  }

  /** Takes over what dead nodes left, in one transaction with this one's own mark: should it die too, that is not lost. */
  async takeOver(): Promise<OwedSpan | undefined> {
    const [row] = await this.#sql<{ from: Date | null; until: Date }[]>`
      WITH dead AS (
        DELETE FROM push_planners WHERE node IN (
          SELECT node FROM push_planners WHERE beat_at < clock_timestamp() - ${this.#staleSpan}::interval AND node <> ${this.#node}
          ORDER BY node FOR UPDATE SKIP LOCKED)
        RETURNING planned_until),
      taken AS (
        UPDATE push_planners SET planned_until = least(planned_until, (SELECT min(d.planned_until) FROM dead d)) WHERE node = ${this.#node})
      SELECT min(planned_until) AS from, clock_timestamp() AS until FROM dead`
    return row?.from ? { from: row.from, until: row.until } : undefined
  }
}
