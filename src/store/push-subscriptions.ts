import { createHash } from 'node:crypto'
import type { Database, Sql } from './database.ts'
import type { DeviceIdentity } from './devices.ts'

/** A browser's subscription, checked, and the key of ours that it is for. */
export type NewPushSubscription = DeviceIdentity & {
  endpoint: string
  p256dh: string
  auth: string
  vapid_public_key: string
  /** Whether this browser allows a push that shows nothing. */
  silent: boolean
}

/**
 * Registers a browser; again that is `unchanged`. A browser has one endpoint: registered for another device it leaves
 * the former. `foreign`: the browser subscribed with another key, since that is what this endpoint was registered with.
 */
export async function subscribe(
  database: Database,
  given: NewPushSubscription,
): Promise<'subscribed' | 'unchanged' | 'signed_out' | 'foreign'> {
  const { user_id, device_id, endpoint, p256dh, auth, vapid_public_key, silent } = given
  const hash = createHash('sha256').update(endpoint).digest()
  return database.transaction(async (tx) => {
    // Two that register one endpoint at once come one after the other.
    await tx`SELECT pg_advisory_xact_lock(hashtextextended(${endpoint}, 0))`
    const foreign = await tx`
      SELECT 1 FROM push_subscriptions WHERE endpoint_hash = ${hash} AND vapid_public_key <> ${vapid_public_key}`
    if (foreign.length > 0) return 'foreign'
    const device = await tx`
      SELECT 1 FROM devices WHERE user_id = ${user_id} AND id = ${device_id} FOR KEY SHARE`
    if (device.length === 0) return 'signed_out'
    await tx`
      DELETE FROM push_subscriptions
      WHERE endpoint_hash = ${hash} AND (user_id, device_id) <> (${user_id}, ${device_id})`
    const changed = await tx`
      INSERT INTO push_subscriptions AS s (user_id, device_id, endpoint, endpoint_hash, p256dh, auth, vapid_public_key, silent)
      VALUES (${user_id}, ${device_id}, ${endpoint}, ${hash}, ${p256dh}, ${auth}, ${vapid_public_key}, ${silent})
      ON CONFLICT (user_id, device_id) DO UPDATE
      SET (endpoint, endpoint_hash, p256dh, auth, vapid_public_key, silent, created_at, withdrawn_at, withdrawals) =
        (excluded.endpoint, excluded.endpoint_hash, excluded.p256dh, excluded.auth, excluded.vapid_public_key, excluded.silent, now(), NULL, 0)
      WHERE (s.endpoint_hash, s.p256dh, s.auth, s.silent)
        <> (excluded.endpoint_hash, excluded.p256dh, excluded.auth, excluded.silent)
      RETURNING 1`
    return changed.length > 0 ? 'subscribed' : 'unchanged'
  })
}

export async function unsubscribe(sql: Sql, { user_id, device_id }: DeviceIdentity): Promise<void> {
  await sql`DELETE FROM push_subscriptions WHERE user_id = ${user_id} AND device_id = ${device_id}`
}

/** How many browsers subscribed with another key than this one: their push services take nothing that it signs. */
export async function countForeignSubscriptions(sql: Sql, vapid_public_key: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    SELECT count(*) AS count FROM push_subscriptions WHERE vapid_public_key <> ${vapid_public_key}`
  return row?.count ?? 0
}
