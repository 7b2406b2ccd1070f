import type { Database, Sql } from './database.ts'
import type { DeviceIdentity } from './devices.ts'
import type { Due } from './turn-queue.ts'

/** Something that somebody may have to be woken for: of a conversation all from `from_seq` to `seq`, or an announcement. */
export type Candidate = {
  user_id: string
  about: string
  is_announcement: boolean
  from_seq: number
  seq: number
  /** The newest one's place in the inbox. */
  inbox_id: number
}

/** A browser that wants to be woken: its `PushSubscription`, and whose it is. The endpoint is a secret. */
export type PushTarget = {
  user_id: string
  device_id: string
  endpoint: string
  p256dh: string
  auth: string
  /** Whether this browser allows a push that shows nothing. */
  silent: boolean
}

/** Where a device stands; ms that are left of being there, null if it never said so. */
export type DeviceState = {
  attended_epoch: string | null
  attended_id: number | null
  active: boolean | null
  lease_ms: number | null
  there_ms: number | null
}

/** What there is to ring somebody for now; `seq` is null if there is nothing any more. */
export type PushView = {
  seq: number | null
  kind: 'direct' | 'group' | 'announcement'
  title: string | null
  sender: string | null
  content: string | null
  unread_count: number
  mention_count: number
  devices: DeviceState[]
  database_epoch: string
}

/** How often a device was tried, and when it is to be again (ms since 1970), by its id. */
export type Tries = Record<string, { attempts: number; at: number }>

/** What is due for somebody whose turn it is. */
export type DuePush = Candidate & {
  /** A notification is to be taken back. */
  withdrawing: boolean
  age_ms: number
  /** Devices whose push service took it, and those where it is of no use to try again. */
  rung: string[]
  refused: string[]
  /** The others, by device. */
  tries: Tries
  /** Devices that something older is to go to first, and when that is to be tried again (ms since 1970). */
  held: Record<string, number>
  targets: PushTarget[]
}

/** What became of it. 'over': there is nothing to ring for. */
export type Settlement = Pick<Candidate, 'user_id' | 'about'> & {
  withdrawing: boolean
  /** As it was when the turn began. */
  planned_seq: number
  outcome: 'rung' | 'over' | 'later'
  /** Up to which they were told. */
  seq: number
  rung: string[]
  refused: string[]
  tries: Tries
  /** Devices that took back what they showed. */
  withdrawn: string[]
  due_ms: number
}

type Owed = Candidate & { age_ms: number }

type Settings = {
  /** Who subscribed with another key is not sent to. */
  vapidPublicKey: string
  /** How long a notification is left on screen at least. */
  shownMs: number
}

const ROWS_PER_TURN = 20
const OWED_BATCH = 1_000

/** Whom to wake, for what, and what became of it: the functions of migrations/0010-pushes.sql and 0013-push-order.sql. */
export class PushStore {
  readonly #sql: Sql
  readonly #key: string
  readonly #shownSpan: string

  constructor(database: Database, { vapidPublicKey, shownMs }: Settings) {
    this.#sql = database.connect('longwave push', 1, { enable_seqscan: 'off' })
    this.#key = vapidPublicKey
    this.#shownSpan = `${shownMs} milliseconds`
  }

  /** Whether there are any. */
  async hasSubscriptions(): Promise<boolean> {
    const [row] = await this.#sql<{ has: boolean }[]>`SELECT EXISTS (SELECT 1 FROM push_subscriptions) AS has`
    return row?.has === true
  }

  /** Those of them who want to be woken, and everybody who said so in the last `recentMs`. */
  async subscribed(userIds: readonly string[], recentMs: number): Promise<Set<string>> {
    const rows = await this.#sql<{ user_id: string }[]>`
      SELECT g.user_id FROM unnest(${userIds as string[]}::text[]) AS g (user_id)
      WHERE EXISTS (SELECT 1 FROM push_subscriptions s WHERE s.user_id = g.user_id AND s.vapid_public_key = ${this.#key})
      UNION ALL
      SELECT s.user_id FROM push_subscriptions s
      WHERE s.created_at > now() - ${`${Math.ceil(recentMs)} milliseconds`}::interval AND s.vapid_public_key = ${this.#key}`
    return new Set(rows.map((row) => row.user_id))
  }

  /** In the order given. */
  views(pushes: readonly Pick<Candidate, 'user_id' | 'about' | 'from_seq'>[]): Promise<PushView[]> {
    return this.#sql<PushView[]>`
      SELECT * FROM push_views(${pushes.map((one) => one.user_id)}::text[], ${pushes.map((one) => one.about)}::uuid[],
        ${pushes.map((one) => one.from_seq)}::bigint[]) ORDER BY n`
  }

  /** Makes pushes due: of each unread episode one. Returns whose turn is when. */
  plan(candidates: readonly (Candidate & { due_ms: number })[]): Promise<Due[]> {
    const each = <T>(pick: (candidate: Candidate & { due_ms: number }) => T) => candidates.map(pick)
    return this.#sql<Due[]>`
      SELECT user_id, due_ms FROM plan_pushes(
        ${each((one) => one.user_id)}::text[], ${each((one) => one.about)}::uuid[], ${each((one) => String(one.is_announcement))}::text[]::boolean[],
        ${each((one) => one.from_seq)}::bigint[], ${each((one) => one.seq)}::bigint[], ${each((one) => one.inbox_id)}::bigint[],
        ${each((one) => Math.round(one.due_ms))}::bigint[])`
  }

  /** What is due for each whose turn it is. */
  due(userIds: readonly string[]): Promise<DuePush[]> {
    return this.#sql<DuePush[]>`
      SELECT * FROM push_turns(${userIds as string[]}::text[], ${this.#key}, ${ROWS_PER_TURN})`
  }

  /** Sends need not wait for the disk because of this: what a crash of Postgres takes is sent once more. */
  async settle(settlements: readonly Settlement[]): Promise<void> {
    await this.#sql`
      SELECT set_config('synchronous_commit', 'off', true), settle_pushes(${JSON.stringify(settlements)}::text::jsonb, ${this.#shownSpan}::interval)`
  }

  /** Which of them have something due, and when. */
  dues(userIds: readonly string[]): Promise<Due[]> {
    return this.#sql<Due[]>`
      SELECT user_id, greatest(extract(epoch FROM min(due_at) - clock_timestamp()) * 1000, 0)::float8 AS due_ms
      FROM pushes WHERE user_id = ANY (${userIds as string[]}) AND due_at IS NOT NULL GROUP BY user_id`
  }

  /** Somebody has read on. Returns who has a notification to be taken back, and when. */
  withdraw(read: readonly Pick<Candidate, 'user_id' | 'about'>[]): Promise<Due[]> {
    return this.#sql<Due[]>`
      SELECT user_id, due_ms FROM withdraw_pushes(${read.map((one) => one.user_id)}::text[], ${read.map((one) => one.about)}::uuid[],
        ${this.#shownSpan}::interval)`
  }

  /** Who has something due for long, since nobody gave them their turn. */
  async overdue(ms: number, limit: number): Promise<string[]> {
    const rows = await this.#sql<{ user_id: string }[]>`
      SELECT DISTINCT user_id FROM (
        SELECT user_id FROM pushes WHERE due_at < clock_timestamp() - ${`${ms} milliseconds`}::interval ORDER BY due_at LIMIT ${limit}) late`
    return rows.map((row) => row.user_id)
  }

  /** The subscription has ended; false if it was another one already, as the browser had made one meanwhile. */
  async unsubscribe({ user_id, device_id, endpoint }: PushTarget): Promise<boolean> {
    const ended = await this.#sql`
      DELETE FROM push_subscriptions WHERE user_id = ${user_id} AND device_id = ${device_id} AND endpoint = ${endpoint}
      RETURNING 1`
    return ended.length > 0
  }

  /** A browser has subscribed anew: what was to be tried there again later is due. Returns whose turn that makes it. */
  async tryNow({ user_id, device_id }: DeviceIdentity): Promise<Due[]> {
    const rows = await this.#sql`
      UPDATE pushes p SET tries = p.tries - ${device_id}::text, refused = array_remove(p.refused, ${device_id}::text),
        due_at = CASE WHEN p.tries ? ${device_id}::text THEN least(p.due_at, clock_timestamp()) ELSE p.due_at END
      FROM (SELECT about FROM pushes WHERE user_id = ${user_id} AND (tries ? ${device_id}::text OR ${device_id}::text = ANY (refused))
            ORDER BY about FOR UPDATE) o
      WHERE p.user_id = ${user_id} AND p.about = o.about RETURNING 1`
    return rows.length > 0 ? [{ user_id, due_ms: 0 }] : []
  }

  /** What came to somebody in the last `sinceMs`, should nobody have decided on it. */
  owedTo(user_id: string, sinceMs: number): Promise<Owed[]> {
    return this.#sql<Owed[]>`
      SELECT ${user_id}::text AS user_id, o.* FROM owed_to(${user_id}::text, now() - ${`${Math.ceil(sinceMs)} milliseconds`}::interval, now()) o`
  }

  /** What was committed within a span of time, of the next people behind `after`; `next`: where to go on, if there are more. */
  async owed(
    span: { from: Date; until: Date },
    after: string,
  ): Promise<{ owed: Owed[]; next: string | undefined }> {
    const rows = await this.#sql<(Omit<Owed, 'about'> & { about: string | null })[]>`
      SELECT * FROM owed_pushes(${span.from}, ${span.until}, ${after}, ${OWED_BATCH})`
    const owed = rows.flatMap(({ about, ...row }) => (about === null ? [] : [{ ...row, about }]))
    const people = new Set(rows.map((row) => row.user_id)).size
    return { owed, next: people === OWED_BATCH ? rows.at(-1)?.user_id : undefined }
  }

  close(): Promise<void> {
    return this.#sql.end({ timeout: 2 })
  }
}
