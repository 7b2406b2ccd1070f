import type { Sql, Transaction } from './database.ts'
import { type RevokedDevice, removeAllDevices } from './devices.ts'

/** The erasure of a user and how far it has come. */
export type Erasure = {
  user_id: string
  requested_at: string
  messages_erased: number
  completed_at: string | null
}

type ErasureRow = Omit<Erasure, 'requested_at' | 'completed_at'> & {
  requested_at: Date
  completed_at: Date | null
}

/** What stands in place of a name. */
const ERASED_NAME = 'Deleted user'

/**
 * Takes away at once what makes a user a person: names, password, data, devices, keys. Their messages follow in the
 * background. Returns the devices signed out; false where there is no such user.
 */
export async function requestErasure(tx: Transaction, user: string): Promise<RevokedDevice[] | false> {
  const [found] = await tx<{ username_folded: string | null }[]>`
    SELECT username_folded FROM users WHERE id = ${user} FOR UPDATE`
  if (!found) return false
  await tx`INSERT INTO erasures (user_id) VALUES (${user}) ON CONFLICT DO NOTHING`
  await tx`
    UPDATE users SET username = NULL, username_folded = NULL, display_name = ${ERASED_NAME}, display_name_folded = '',
      password_hash = NULL, data = '{}', claimed_name = NULL, claimed_at = NULL, erased_at = coalesce(erased_at, now())
    WHERE id = ${user}`
  const senders = [
    user,
    `sign-in:${user}`,
    ...(found.username_folded ? [`name:${found.username_folded}`] : []),
  ]
  await tx`DELETE FROM idempotency_keys WHERE sender = ANY (${senders})`
  await tx`DELETE FROM blocks WHERE user_id = ${user} OR blocked_id = ${user}`
  await tx`DELETE FROM active_users WHERE user_id = ${user}`
  await removeAllDevices(tx, user)
  // For ever, so also for tokens that a clock which is ahead dates later.
  return tx<RevokedDevice[]>`
    UPDATE revocations SET revoked_at = now() + interval '1 minute' WHERE user_id = ${user}
    RETURNING user_id, device_id, revoked_at`
}

export async function findErasure(sql: Sql, user: string): Promise<Erasure | undefined> {
  const [row] = await sql<ErasureRow[]>`
    SELECT user_id, requested_at, messages_erased, completed_at FROM erasures WHERE user_id = ${user}`
  return (
    row && {
      ...row,
      requested_at: row.requested_at.toISOString(),
      completed_at: row.completed_at?.toISOString() ?? null,
    }
  )
}
