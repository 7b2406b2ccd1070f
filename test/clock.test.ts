import { expect, test } from 'vitest'
import { Clock } from '../src/store/clock.ts'
import { Database } from '../src/store/database.ts'
import { startPostgres } from './support/postgres.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

test('an answer that waited for Postgres to come back does not set the clock', async () => {
  await using postgres = await startPostgres()
  await using proxy = await TcpProxy.before(postgres.url)
  await using database = new Database({ url: proxy.through(postgres.url), maxConnections: 1 })
  using clock = new Clock(database.sql, () => {})
  await clock.sync()
  const before = clock.now() - performance.now()
  proxy.hang()
  const began = performance.now()
  const late = clock.sync()
  await until('a while', () => performance.now() - began > 2_000)
  proxy.restore()
  await late
  expect(Math.abs(clock.now() - performance.now() - before)).toBeLessThan(200)
})
