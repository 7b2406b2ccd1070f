import { Problem } from '../protocol/problems.ts'
import type { Sql } from './database.ts'

/**
 * Takes the key of a multicast as a whole, so that the same key with another list of recipients sends nothing. Its
 * recipients have keys of their own. Throws Problem idempotency_mismatch.
 */
export async function claimMulticastKey(
  sql: Sql,
  { sender_id, key, request_hash }: { sender_id: string; key: string; request_hash: Buffer },
): Promise<void> {
  const claimed = await sql`
    INSERT INTO send_keys (sender_id, key, request_hash) VALUES (${sender_id}, ${key}, ${request_hash})
    ON CONFLICT DO NOTHING RETURNING 1`
  if (claimed.length > 0) return
  const [row] = await sql<{ request_hash: Buffer }[]>`
    SELECT request_hash FROM send_keys WHERE sender_id = ${sender_id} AND key = ${key}`
  if (row?.request_hash.equals(request_hash)) return
  throw new Problem(
    'idempotency_mismatch',
    'This key was used for another message. Take a new key for a new message.',
  )
}
