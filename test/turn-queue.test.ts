import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { bossDatabase, TurnQueue } from '../src/store/turn-queue.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

/** User ids that SQL, JSON or an array might make something else of. */
const NAMES = [
  "o'clock",
  'a"b',
  'back\\slash',
  '{1,2}',
  'NULL',
  '$1',
  'ünï©ødé 🦜',
  "'); DROP TABLE users; --",
]

let postgres: TestPostgres
let database: Database

beforeAll(async () => {
  postgres = await startPostgres()
  database = new Database({ url: postgres.url })
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

const fail = (error: unknown) => {
  throw error
}

async function open(): Promise<TurnQueue> {
  const queue = await TurnQueue.open(database, 45, fail)
  onTestFinished(() => queue[Symbol.asyncDispose]())
  return queue
}

const now = (...userIds: string[]) => userIds.map((user_id) => ({ user_id, due_ms: 0 }))

beforeEach(async () => {
  const [schema] = await database.sql`SELECT to_regclass('pgboss.job') IS NOT NULL AS there`
  if (schema?.there) await database.sql`DELETE FROM pgboss.job`
})

test('turns carry any user id, each once however often they are given, on one of two nodes', async () => {
  const [one, other] = await Promise.all([open(), open()])
  await one.add(now(...NAMES, ...NAMES))
  await other.add(now(...NAMES))
  const taken = (await Promise.all([one.take(5), other.take(5), one.take(5)])).flat()
  expect(taken.map((turn) => turn.user_id).sort()).toEqual([...NAMES].sort())
  await one.add(now(...NAMES))
  expect(await other.take(100), 'while they have a turn they get no other').toEqual([])
  await one.finish(taken)
  await one.add(now(...NAMES))
  expect(await other.take(100)).toHaveLength(NAMES.length)
})

test('a turn that is to be later comes then, and not before', async () => {
  const queue = await open()
  await queue.add([
    { user_id: 'soon', due_ms: 400 },
    { user_id: 'late', due_ms: 3_600_000 },
  ])
  const began = performance.now()
  const [turn] = await until('the turn', async () => {
    const turns = await queue.take(10)
    return turns.length > 0 && turns
  })
  expect(turn?.user_id).toBe('soon')
  expect(performance.now() - began).toBeGreaterThan(250)
})

test('a turn whose node died is taken by another soon', async () => {
  const dead = await TurnQueue.open(database, 45, fail)
  await dead.add(now('left'))
  const [left] = await dead.take(1)
  await dead[Symbol.asyncDispose]()
  const queue = await open()
  expect(await queue.take(1)).toEqual([])
  await database.sql`UPDATE pgboss.job SET started_on = started_on - interval '1 minute'`
  const [turn] = await until('the turn', async () => {
    const turns = await queue.take(1)
    return turns.length > 0 && turns
  })
  expect(turn).toEqual(left)
})

test('the queue speaks through our driver: json goes as it is, and an error leaves no transaction open', async () => {
  const sql = database.connect('test', 1)
  onTestFinished(() => sql.end({ timeout: 1 }))
  const errors: unknown[] = []
  const db = bossDatabase(sql, (error) => errors.push(error))
  const given = { list: ['a"b', "o'clock"], text: 'back\\slash' }
  const { rows } = await db.executeSql('SELECT $1::jsonb AS object, $2::json AS text, $3::text[] AS list', [
    given,
    JSON.stringify(given),
    NAMES,
  ])
  expect(rows).toEqual([{ object: given, text: given, list: NAMES }])
  expect(await db.executeSql('BEGIN; SELECT 1 AS one; SELECT 2 AS two; COMMIT;', [])).toEqual({
    rows: [{ one: 1 }, { two: 2 }],
  })
  await expect(db.executeSql('BEGIN; CREATE TABLE half (n int); SELECT 1 / 0; COMMIT;', [])).rejects.toThrow(
    'zero',
  )
  expect(errors).toHaveLength(1)
  expect(await db.executeSql("SELECT to_regclass('half') AS half", [])).toEqual({ rows: [{ half: null }] })
})

test('of statements that fail in a row the first is told of', async () => {
  const sql = database.connect('test', 1)
  onTestFinished(() => sql.end({ timeout: 1 }))
  const errors: unknown[] = []
  const db = bossDatabase(sql, (error) => errors.push(error))
  const fails = () => expect(db.executeSql('SELECT 1 / 0', [])).rejects.toThrow('zero')
  for (let n = 0; n < 5; n += 1) await fails()
  expect(errors).toHaveLength(1)
  await db.executeSql('SELECT 1', [])
  for (let n = 0; n < 5; n += 1) await fails()
  expect(errors).toHaveLength(2)
})

test('while Postgres is away the queue says so once', async () => {
  await using proxy = await TcpProxy.before(postgres.url)
  await using apart = new Database({ url: proxy.through(postgres.url) })
  const errors: unknown[] = []
  await using queue = await TurnQueue.open(apart, 45, (error) => errors.push(error))
  proxy.cut()
  for (let n = 0; n < 4; n += 1) await queue.take(10).catch(() => {})
  expect(errors).toHaveLength(1)
})

test('nodes that start together over a new database make it once, and nobody is told of a race', async () => {
  await using fresh = await startPostgres()
  const databases = Array.from({ length: 4 }, () => new Database({ url: fresh.url }))
  const errors: unknown[] = []
  const queues = await Promise.all(
    databases.map((each) => TurnQueue.open(each, 45, (error) => errors.push(error))),
  )
  expect(errors).toEqual([])
  for (const each of [...queues, ...databases]) await each[Symbol.asyncDispose]()
})
