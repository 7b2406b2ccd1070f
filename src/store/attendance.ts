import type { Database, Sql } from './database.ts'

type Sighting = { user_id: string; device_id: string; seen_ago: number }

/** Writes down how long devices are there that never say so themselves; only of people who want to be woken. */
export class Attendance {
  readonly #sql: Sql
  readonly #leaseSpan: string

  /** `leaseMs`: how long being there holds. */
  constructor(database: Database, leaseMs: number) {
    this.#sql = database.connect('longwave attendance', 1, { synchronous_commit: 'off' })
    this.#leaseSpan = `${leaseMs} milliseconds`
  }

  async see(sightings: readonly Sighting[]): Promise<void> {
    await this.#sql`
      SELECT see_attendance(${sightings.map((one) => one.user_id)}::text[], ${sightings.map((one) => one.device_id)}::text[],
        ${sightings.map((one) => Math.round(one.seen_ago))}::bigint[], ${this.#leaseSpan}::interval)`
  }

  close(): Promise<void> {
    return this.#sql.end({ timeout: 2 })
  }
}
