import { randomBytes } from 'node:crypto'
import type { Database } from './database.ts'

/** A key that all nodes over this database share; the first to ask makes it. */
export async function sharedSecret(
  { sql }: Database,
  name: string,
  make = () => randomBytes(48).toString('base64url'),
): Promise<string> {
  await sql`INSERT INTO secrets (name, value) VALUES (${name}, ${make()}) ON CONFLICT DO NOTHING`
  const [row] = await sql<{ value: string }[]>`SELECT value FROM secrets WHERE name = ${name}`
  if (!row) throw new Error(`the secret ${name} could not be made`)
  return row.value
}
