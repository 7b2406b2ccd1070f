import type { Cursor } from '../protocol/cursor.ts'
import type { Database, Sql } from './database.ts'
import type { DeviceIdentity } from './devices.ts'

export type Acknowledgement = DeviceIdentity & {
  cursor: Cursor
  /** Renews the device's lease, and says whether a person is looking. */
  lease?: { active: boolean | null } | undefined
}

/**
 * Writes devices' cursors, never backwards within an epoch. Like sends, those that arrive while a write is under way
 * go together into the next one, each device once: a poll costs no transaction of its own.
 */
export class Acknowledgements {
  readonly #sql: Sql
  readonly #leaseSpan: string
  #batch = new Map<string, Acknowledgement>()
  /** The write that will take what arrives now; it begins when the one under way ends. */
  #next: Promise<void> | undefined
  #underWay: Promise<void> | undefined

  /** `leaseMs`: how long a device's word holds that it is there. */
  constructor(database: Database, leaseMs: number) {
    this.#leaseSpan = `${leaseMs} milliseconds`
    // A lost acknowledgement only means that events are read again, so its commit need not wait for the disk.
    this.#sql = database.connect('longwave acknowledgements', 1, { synchronous_commit: 'off' })
  }

  /** Resolves when written. Rejects when Postgres could not; the next acknowledgement makes it good. */
  record(acknowledgement: Acknowledgement): Promise<void> {
    const key = `${acknowledgement.user_id}\0${acknowledgement.device_id}`
    this.#batch.set(key, later(this.#batch.get(key), acknowledgement))
    this.#next ??= this.#write()
    return this.#next
  }

  async close(): Promise<void> {
    await this.#next?.catch(() => {})
    await this.#sql.end({ timeout: 2 })
  }

  async #write(): Promise<void> {
    await this.#underWay?.catch(() => {})
    const batch = [...this.#batch.values()]
    this.#batch = new Map()
    this.#next = undefined
    this.#underWay = writeAll(this.#sql, batch, this.#leaseSpan)
    await this.#underWay
  }
}

/** The one that goes further; a lease said in either is kept. */
function later(one: Acknowledgement | undefined, other: Acknowledgement): Acknowledgement {
  if (!one) return other
  const lease = other.lease ?? one.lease
  const isOlder = one.cursor.epoch === other.cursor.epoch && one.cursor.id > other.cursor.id
  return { ...other, cursor: isOlder ? one.cursor : other.cursor, lease }
}

// Booleans go as texts: the driver takes an array of them for one boolean.
async function writeAll(sql: Sql, batch: Acknowledgement[], leaseSpan: string): Promise<void> {
  await sql`
    UPDATE devices d SET
      cursor_id = CASE WHEN d.cursor_epoch = g.epoch THEN greatest(d.cursor_id, g.id) ELSE g.id END,
      cursor_epoch = g.epoch,
      last_seen_at = greatest(d.last_seen_at, now()),
      lease_until = CASE WHEN g.leases THEN now() + ${leaseSpan}::interval ELSE d.lease_until END,
      active = coalesce(g.active, d.active),
      attended_id = CASE WHEN NOT coalesce(g.active, d.active, true) THEN d.attended_id
        WHEN d.attended_epoch = g.epoch THEN greatest(d.attended_id, g.id) ELSE g.id END,
      attended_epoch = CASE WHEN coalesce(g.active, d.active, true) THEN g.epoch ELSE d.attended_epoch END
    FROM (
      SELECT g.* FROM unnest(${batch.map((each) => each.user_id)}::text[], ${batch.map((each) => each.device_id)}::text[],
      ${batch.map((each) => each.cursor.epoch)}::text[], ${batch.map((each) => each.cursor.id)}::bigint[],
      ${batch.map((each) => String(each.lease !== undefined))}::boolean[], ${batch.map((each) => each.lease?.active?.toString() ?? null)}::boolean[])
      AS g (user_id, device_id, epoch, id, leases, active)
      JOIN devices l ON l.user_id = g.user_id AND l.id = g.device_id
      -- In one order, lest two nodes' batches wait for each other.
      ORDER BY l.user_id, l.id FOR NO KEY UPDATE OF l) g
    WHERE d.user_id = g.user_id AND d.id = g.device_id`
}
