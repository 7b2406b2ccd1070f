import { afterAll, beforeAll, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { freePort } from './support/free-port.ts'
import { offerTls, startPostgres, type TestPostgres } from './support/postgres.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startPostgres()
  await offerTls(postgres)
  await until('TLS', async () => {
    await using database = new Database({ url: withTls(postgres.url), maxConnections: 1 })
    const [row] = await database.sql`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`.catch(() => [])
    return row?.ssl
  })
})

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]()
})

function withTls(url: string): string {
  return `${url}?sslmode=require`
}

type Work = (database: Database, n: number) => Promise<unknown>

const works: Record<string, Work> = {
  async query({ sql }, n) {
    const [row] = await sql`SELECT ${['a', 'b']}::text[] AS letters, ${n}::int AS n`
    expect(row).toEqual({ letters: ['a', 'b'], n })
  },
  transaction: (database, n) =>
    database.transaction(async (tx) => {
      await tx`INSERT INTO written VALUES (${n})`
      await tx`INSERT INTO written VALUES (${n})`
    }),
}

test.each([
  ['query', 'in the clear'],
  ['transaction', 'in the clear'],
  ['query', 'over TLS'],
  ['transaction', 'over TLS'],
])('connections lost under load: every %s ends, and what says it was done is done, %s', async (kind, how) => {
  await using proxy = await TcpProxy.before(postgres.url)
  await using steady = new Database({ url: postgres.url })
  await steady.sql`CREATE TABLE IF NOT EXISTS written (n int)`
  await using database = new Database({
    url: proxy.through(how === 'over TLS' ? withTls(postgres.url) : postgres.url),
    maxConnections: 4,
    maxTransactions: 4,
  })
  const done: number[] = []
  const lost: number[] = []
  const under = new Set<Promise<void>>()
  const run = (n: number) => {
    const ending = works[kind]?.(database, n).then(
      () => void done.push(n),
      (error: { code?: string }) => {
        expect(error.code).toMatch(/^(ECONN|CONNECTION_|EPIPE|unavailable)/)
        lost.push(n)
      },
    )
    if (ending) under.add(ending)
  }
  let n = 0
  for (let cut = 0; cut < 20; cut += 1) {
    for (let k = 0; k < 20; k += 1) run(n++)
    await new Promise((resolve) => setImmediate(resolve))
    proxy.cut()
    for (let k = 0; k < 5; k += 1) run(n++)
    await new Promise((resolve) => setImmediate(resolve))
    proxy.restore()
    for (let k = 0; k < 20; k += 1) run(n++)
    await Promise.allSettled(under)
  }
  await Promise.all(under)
  expect(done.length + lost.length).toBe(n)
  expect(done.length).toBeGreaterThan(0)
  expect(lost.length).toBeGreaterThan(0)
  if (kind === 'query') return
  const rows = await steady.sql<
    { n: number; times: number }[]
  >`SELECT n, count(*)::int AS times FROM written GROUP BY n`
  expect(rows.filter((row) => row.times !== 2)).toEqual([])
  const written = new Set(rows.map((row) => row.n))
  expect(done.filter((each) => !written.has(each))).toEqual([])
  await steady.sql`TRUNCATE written`
})

test('a connection that breaks in the middle of a result leaves nothing behind for the next query', async () => {
  await using proxy = await TcpProxy.before(postgres.url)
  await using database = new Database({ url: proxy.through(postgres.url), maxConnections: 1 })
  for (let round = 0; round < 5; round += 1) {
    await until('a connection', () => database.sql`SELECT 1`.catch(() => undefined))
    // Some rows of it arrive.
    proxy.resetAfter(() => 50_000)
    await expect(
      database.sql`SELECT n, repeat('x', 100) FROM generate_series(1, 100000) AS n`,
    ).rejects.toThrow()
    const rows = await until('an answer', () =>
      database.sql<{ n: number }[]>`SELECT n::int FROM generate_series(1, 3) AS n`.catch(() => undefined),
    )
    expect([...rows]).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    expect(rows.length).toBe(3)
  }
})

test('a connection that died without a word is given up, though others of its pool answer', async () => {
  await using proxy = await TcpProxy.before(postgres.url)
  await using database = new Database({ url: proxy.through(postgres.url), maxConnections: 4 })
  await database.sql`SELECT 1`
  proxy.hangSome(() => true)
  await expect(database.sql`SELECT 1`).rejects.toMatchObject({ code: 'ETIMEDOUT' })
  await database.sql`SELECT 1`
})

test('of several servers the one that is there is found, and where none is that is told', async () => {
  await using proxy = await TcpProxy.before(postgres.url)
  const through = new URL(proxy.through(postgres.url))
  const url = through.href.replace(through.host, `127.0.0.1:${await freePort()},${through.host}`)
  await using database = new Database({ url, maxConnections: 1 })
  proxy.cut()
  await expect(database.sql`SELECT 1`).rejects.toMatchObject({ code: expect.stringMatching(/^ECONN/) })
  await expect(database.sql`SELECT 1`).rejects.toMatchObject({ code: expect.stringMatching(/^ECONN/) })
  proxy.restore()
  await until('the other', () => database.sql`SELECT 1`.then(Boolean, () => false))
})

test('one that answers late is not, nor are its idle neighbours', { timeout: 40_000 }, async () => {
  await using database = new Database({ url: postgres.url, maxConnections: 4 })
  const pid = () => database.sql`SELECT pg_backend_pid() AS pid, pg_sleep(0.1)`.then(([row]) => row?.pid)
  const before = await Promise.all([pid(), pid(), pid(), pid()])
  for (let k = 0; k < 2; k += 1) await database.sql`SELECT pg_sleep(4.8)`
  expect(new Set(await Promise.all([pid(), pid(), pid(), pid()]))).toEqual(new Set(before))
})
