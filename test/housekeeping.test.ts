import { afterAll, beforeAll, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'

const { postgres, gateway } = useGateway()
let database: Database

beforeAll(async () => {
  database = new Database({ url: postgres.url, maxConnections: 1 })
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

const keep = () => database.sql`SELECT keep_inbox_partitions('30 days'::interval)`
const strays = async () => Number((await database.sql`SELECT count(*) AS n FROM inbox_default`)[0]?.n)

test('what was written before its partition was made moves into it, and nothing is lost', async () => {
  const alice = await Person.signUp(gateway.url)
  const bob = await Person.signUp(gateway.url)
  const chat = await alice.direct(bob)
  // As after weeks in which no housekeeping succeeded.
  const parts = await database.sql`SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'inbox'::regclass AND c.relname <> 'inbox_default'`
  for (const { relname } of parts) {
    await database.sql.unsafe(`ALTER TABLE inbox DETACH PARTITION ${relname}`)
    await database.sql.unsafe(`INSERT INTO inbox SELECT * FROM ${relname}; DROP TABLE ${relname}`)
  }
  await alice.send(chat, 'late')
  expect(await strays()).toBeGreaterThan(0)
  const before = await bob.readAll()

  await using other = await startGateway(postgres.url)
  expect(await strays()).toBe(0)
  expect(await bob.at(other.url).readAll()).toEqual(before)
  await keep()
})

test('what is over the retention goes from the default partition too', async () => {
  await database.sql`INSERT INTO inbox (user_id, id, at, type) VALUES ('nobody', 1, now() - interval '1 year', 'announcement')`
  await keep()
  expect(await strays()).toBe(0)
})

test('housekeeping that cannot be done now does not forbid the start', async () => {
  await database.sql`ALTER FUNCTION keep_inbox_partitions RENAME TO gone`
  try {
    await using other = await startGateway(postgres.url)
    expect((await fetch(`${other.url}/readyz`)).status).toBe(200)
  } finally {
    await database.sql`ALTER FUNCTION gone RENAME TO keep_inbox_partitions`
  }
})
