import type { Sql } from './database.ts'

export type MulticastKey = { key: string; request_hash: Buffer }

/**
 * Takes the keys of multicasts as wholes, so that the same key with another list of recipients sends nothing; their
 * recipients have keys of their own. Says of each whether it is (again) this multicast's: of two with one key the first is.
 */
export async function claimMulticastKeys(
  sql: Sql,
  sender_id: string,
  claims: readonly MulticastKey[],
): Promise<boolean[]> {
  const keys = claims.map(({ key }) => key)
  const hashes = claims.map(({ request_hash }) => request_hash.toString('hex'))
  await sql`
    INSERT INTO send_keys (sender_id, key, request_hash)
    SELECT ${sender_id}, g.key, decode(g.hash, 'hex')
    FROM unnest(${keys}::text[], ${hashes}::text[])
      WITH ORDINALITY AS g (key, hash, n)
    ORDER BY g.key, g.n
    ON CONFLICT DO NOTHING`
  // A statement of its own: it sees what another transaction committed while the one above waited for it.
  const rows = await sql<{ key: string; request_hash: Buffer }[]>`
    SELECT key, request_hash FROM send_keys WHERE sender_id = ${sender_id} AND key = ANY (${keys})`
  const taken = new Map(rows.map((row) => [row.key, row.request_hash]))
  return claims.map(({ key, request_hash }) => taken.get(key)?.equals(request_hash) === true)
}
