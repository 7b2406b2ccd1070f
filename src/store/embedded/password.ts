import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { readIfPresent, writeWhole } from './files.ts'

/** The password of the gateway's role, kept in `dataDir` for us alone; `fresh` when it had to be made now. */
export async function keepPassword(dataDir: string): Promise<{ password: string; fresh: boolean }> {
  const file = join(dataDir, 'postgres.password')
  const kept = (await readIfPresent(file))?.trim()
  if (kept) return { password: kept, fresh: false }
  const password = randomBytes(24).toString('hex')
  await writeWhole(file, `${password}\n`)
  return { password, fresh: true }
}
