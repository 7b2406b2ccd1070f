import { afterAll, beforeAll, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { migrate } from '../src/store/migrate.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'

let postgres: TestPostgres
let database: Database

beforeAll(async () => {
  postgres = await startPostgres()
  database = new Database({ url: postgres.url })
  await migrate(database)
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

async function epoch(): Promise<string> {
  const [row] = await database.sql<{ epoch: string }[]>`SELECT current_epoch() AS epoch`
  return row?.epoch ?? ''
}

/** As each start of a node does. */
async function settle(): Promise<string> {
  await migrate(database)
  return epoch()
}

test('stays the same over starts', async () => {
  const before = await epoch()
  expect(await settle()).toBe(before)
})

test('is drawn anew where a dump was restored, also in the cluster it came from', async () => {
  const before = await epoch()
  await database.sql.begin(async (tx) => {
    await tx`CREATE TABLE restored (LIKE database_epoch INCLUDING ALL)`
    await tx`INSERT INTO restored SELECT * FROM database_epoch`
    await tx`DROP TABLE database_epoch`
    await tx`ALTER TABLE restored RENAME TO database_epoch`
  })
  // Nodes that ran on meanwhile append nothing under the old one.
  await expect(epoch()).rejects.toMatchObject({ code: 'LW001' })
  expect(await settle()).not.toBe(before)
})

test('is drawn anew after point-in-time recovery, though the backup is of a primary with a synchronous standby', async () => {
  const before = await epoch()
  await database.sql`UPDATE database_epoch SET timeline = '00000000', synchronous = true`
  await expect(epoch()).rejects.toMatchObject({ code: 'LW001' })
  expect(await settle()).not.toBe(before)
})
