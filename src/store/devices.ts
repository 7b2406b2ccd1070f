import { createHash, createHmac, randomBytes } from 'node:crypto'
import { REFRESH_GRACE_MS, SESSION_DAYS, STREAM_TICKET_SECONDS } from '../protocol/constants.ts'
import type { Cursor } from '../protocol/cursor.ts'
import { Problem } from '../protocol/problems.ts'
import type { Database, Fragment, Transaction } from './database.ts'
import { newId } from './ids.ts'
import { fold } from './users.ts'

/** A sign-in of an account. One account has many, all live at once. */
export type DeviceRecord = { id: string; name: string | null; created_at: Date; last_seen_at: Date }

export type DeviceIdentity = { user_id: string; device_id: string }

/** A device that was signed out, and when. */
export type RevokedDevice = DeviceIdentity & { revoked_at: Date }

/** Who an identity provider says somebody is, on which device, since when (ms since 1970). */
export type ProviderToken = DeviceIdentity & { name: string; issued_at: number }

/** Random secrets are long enough that a plain hash protects them. */
function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

const SESSION_SPAN = `${SESSION_DAYS} days`
const TICKET_SPAN = `${STREAM_TICKET_SECONDS} seconds`
const GRACE_SPAN = `${REFRESH_GRACE_MS} milliseconds`

/** Devices and what they sign in with: refresh tokens, session cookies, stream tickets, all kept hashed. */
export class Devices {
  readonly #database: Database
  readonly #successorKey: string

  /** `successorKey` derives each refresh token's successor, so that a lost answer can be given again. */
  constructor(database: Database, successorKey: string) {
    this.#database = database
    this.#successorKey = successorKey
  }

  async createWithRefreshToken(tx: Transaction, user_id: string, name: string | null) {
    const device_id = newId()
    const refresh_token = newSecret()
    await tx`INSERT INTO devices (user_id, id, name, expires_at) VALUES (${user_id}, ${device_id}, ${name}, now() + ${SESSION_SPAN}::interval)`
    await insertRefreshToken(tx, { user_id, device_id, token: refresh_token, predecessor: null })
    return { device_id, refresh_token }
  }

  async createWithCookie(tx: Transaction, user_id: string, name: string | null) {
    const device_id = newId()
    const cookie = newSecret()
    await tx`
      INSERT INTO devices (user_id, id, name, expires_at, cookie_hash)
      VALUES (${user_id}, ${device_id}, ${name}, now() + ${SESSION_SPAN}::interval, ${hashSecret(cookie)})`
    return { device_id, cookie }
  }

  /**
   * Rotates. The token just spent gives the same successor again until that is first used, and 30 s more; used later
   * it revokes the device, and says so. Throws Problem token_invalid.
   */
  async refresh(token: string): Promise<RevokedDevice | (DeviceIdentity & { refresh_token: string })> {
    const outcome = await this.#database.transaction(async (tx) => {
      const [row] = await tx<
        (DeviceIdentity & { predecessor_hash: Buffer | null; spent: boolean; late: boolean })[]
      >`
        SELECT user_id, device_id, predecessor_hash, spent_at IS NOT NULL AS spent,
          coalesce(successor_spent_at + ${GRACE_SPAN}::interval < clock_timestamp(), false) AS late
        FROM refresh_tokens WHERE hash = ${hashSecret(token)} AND expires_at > now() FOR UPDATE`
      if (!row) return undefined
      const identity = { user_id: row.user_id, device_id: row.device_id }
      if (row.late) {
        const [revoked] = await removeDevices(tx, identity.user_id, tx`id = ${identity.device_id}`)
        return revoked
      }
      const successor = createHmac('sha256', this.#successorKey).update(token).digest('base64url')
      if (!row.spent) {
        await tx`UPDATE refresh_tokens SET spent_at = clock_timestamp() WHERE hash = ${hashSecret(token)}`
        await tx`UPDATE refresh_tokens SET successor_spent_at = clock_timestamp() WHERE hash = ${row.predecessor_hash}`
        await insertRefreshToken(tx, { ...identity, token: successor, predecessor: hashSecret(token) })
        await tx`
          UPDATE devices SET last_seen_at = now(), expires_at = now() + ${SESSION_SPAN}::interval
          WHERE user_id = ${identity.user_id} AND id = ${identity.device_id}`
      }
      return { ...identity, refresh_token: successor }
    })
    if (!outcome)
      throw new Problem('token_invalid', 'The refresh token is not known or has expired. Sign in again.')
    return outcome
  }

  /** The device of a session cookie, and whether it was extended just now (at most once a day). */
  async findByCookie(cookie: string): Promise<(DeviceIdentity & { extended: boolean }) | undefined> {
    const hash = hashSecret(cookie)
    const { sql } = this.#database
    const [row] = await sql<(DeviceIdentity & { stale: boolean })[]>`
      SELECT user_id, id AS device_id, expires_at < now() + ${SESSION_SPAN}::interval - interval '1 day' AS stale
      FROM devices WHERE cookie_hash = ${hash} AND expires_at > now()`
    if (!row) return undefined
    const { stale: extended, ...identity } = row
    if (extended) {
      await sql`
        UPDATE devices SET last_seen_at = now(), expires_at = now() + ${SESSION_SPAN}::interval WHERE cookie_hash = ${hash}`
    }
    return { ...identity, extended }
  }

  /** A ticket that opens `/v1/events` for this device, for a minute; what it opens ends at `ends_at`, if there is one. */
  async createTicket(
    tx: Transaction,
    { user_id, device_id, ends_at }: DeviceIdentity & { ends_at: Date | null },
  ): Promise<string> {
    const ticket = newSecret()
    await tx`
      INSERT INTO stream_tickets (hash, user_id, device_id, expires_at, ends_at)
      VALUES (${hashSecret(ticket)}, ${user_id}, ${device_id}, now() + ${TICKET_SPAN}::interval, ${ends_at})`
    return ticket
  }

  /** Whose ticket it is and whether it has expired; nothing if it never was one or its device was signed out. */
  async findByTicket(
    ticket: string,
  ): Promise<(DeviceIdentity & { expired: boolean; ends_at: Date | null }) | undefined> {
    const [row] = await this.#database.sql<(DeviceIdentity & { expired: boolean; ends_at: Date | null })[]>`
      SELECT t.user_id, t.device_id, t.expires_at <= now() AS expired, t.ends_at FROM stream_tickets t
      JOIN devices d ON d.user_id = t.user_id AND d.id = t.device_id WHERE t.hash = ${hashSecret(ticket)}`
    return row
  }

  async list(user_id: string): Promise<DeviceRecord[]> {
    return this.#database.sql<DeviceRecord[]>`
      SELECT id, name, created_at, last_seen_at FROM devices
      WHERE user_id = ${user_id} AND expires_at > now() ORDER BY created_at DESC, id`
  }

  /** Signs a device out and returns it; nothing if the user has no such device. */
  async remove(user_id: string, device_id: string): Promise<RevokedDevice | undefined> {
    const [removed] = await this.#database.transaction((tx) =>
      removeDevices(tx, user_id, tx`id = ${device_id}`),
    )
    return removed
  }

  /** Signs all other devices out and returns them. */
  removeOthers(tx: Transaction, { user_id, device_id }: DeviceIdentity): Promise<RevokedDevice[]> {
    return removeDevices(tx, user_id, tx`id <> ${device_id}`)
  }

  /** Devices signed out in the last 20 minutes, on whatever node: longer than an access token lives. */
  async recentlyRevoked(): Promise<RevokedDevice[]> {
    return this.#database.sql<RevokedDevice[]>`
      SELECT user_id, device_id, revoked_at FROM revocations WHERE revoked_at > now() - interval '20 minutes'`
  }

  /** Lets in a user of the identity provider; user and device are made at first sight, and the name brought up to date. */
  async admit(token: ProviderToken): Promise<'admitted' | 'signed_out' | 'erased'> {
    const { user_id, name, device_id, issued_at } = token
    const [row] = await this.#database.sql<{ outcome: 'admitted' | 'signed_out' | 'erased' }[]>`
      SELECT admit_user(${user_id}, ${name}, ${fold(name)}, ${device_id}, ${new Date(issued_at)}, ${SESSION_SPAN}::interval) AS outcome`
    return row?.outcome ?? 'signed_out'
  }

  /** The cursor that the device acknowledged last. */
  async storedCursor({ user_id, device_id }: DeviceIdentity): Promise<Cursor | undefined> {
    const [row] = await this.#database.sql<{ epoch: string | null; id: number | null }[]>`
      SELECT cursor_epoch AS epoch, cursor_id AS id FROM devices WHERE user_id = ${user_id} AND id = ${device_id}`
    return row?.epoch && row.id !== null ? { epoch: row.epoch, id: row.id } : undefined
  }
}

async function insertRefreshToken(
  tx: Transaction,
  given: DeviceIdentity & { token: string; predecessor: Buffer | null },
): Promise<void> {
  await tx`
    INSERT INTO refresh_tokens (hash, user_id, device_id, predecessor_hash, expires_at)
    VALUES (${hashSecret(given.token)}, ${given.user_id}, ${given.device_id}, ${given.predecessor}, now() + ${SESSION_SPAN}::interval)`
}

/** Signs all of a user's devices out and returns them. */
export function removeAllDevices(tx: Transaction, user_id: string): Promise<RevokedDevice[]> {
  return removeDevices(tx, user_id, tx`true`)
}

/**
 * Removes devices with all that signs them in, and leaves word for nodes that still know an access token. What somebody saw on
 * one of them needs to wake none of the others.
 */
async function removeDevices(tx: Transaction, user_id: string, which: Fragment): Promise<RevokedDevice[]> {
  // In the order in which acknowledgements are written.
  await tx`SELECT 1 FROM devices WHERE user_id = ${user_id} ORDER BY id FOR UPDATE`
  return tx<RevokedDevice[]>`
    WITH gone AS (DELETE FROM devices WHERE user_id = ${user_id} AND ${which} RETURNING user_id, id, attended_epoch, attended_id),
    seen AS (SELECT attended_epoch, max(attended_id) AS attended_id FROM gone WHERE attended_id IS NOT NULL GROUP BY 1),
    kept AS (
      UPDATE devices d SET attended_epoch = s.attended_epoch, attended_id = greatest(d.attended_id, s.attended_id)
      FROM seen s WHERE d.user_id = ${user_id} AND NOT (${which}) AND coalesce(d.attended_epoch = s.attended_epoch, true)),
    tickets AS (DELETE FROM stream_tickets t USING gone g WHERE t.user_id = g.user_id AND t.device_id = g.id)
    INSERT INTO revocations (user_id, device_id) SELECT user_id, id FROM gone
    ON CONFLICT (user_id, device_id) DO UPDATE SET revoked_at = now()
    RETURNING user_id, device_id, revoked_at`
}
