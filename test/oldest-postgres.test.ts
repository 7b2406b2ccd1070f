import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { chooseAccount, giveTo } from '../src/store/embedded/account.ts'
import { Housekeeping } from '../src/store/housekeeping.ts'
import { freePort } from './support/free-port.ts'
import { startGateway } from './support/gateway.ts'
import { Person } from './support/person.ts'
import { until } from './support/wait.ts'

/** The oldest that the README names, where Debian puts it. */
const OLDEST = 15
const BIN = `/usr/lib/postgresql/${OLDEST}/bin`

const run = promisify(execFile)
const isThere = await access(join(BIN, 'initdb')).then(
  () => true,
  () => false,
)

/** A server without a password, gone when disposed of, with its role and database. */
async function startOldest(): Promise<AsyncDisposable & { url: string }> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'longwave-oldest-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const account = await chooseAccount(null)
  const data = join(folder, 'data')
  await mkdir(data)
  for (const path of [folder, data]) await giveTo(account, path)
  await run(join(BIN, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres'], { ...account, cwd: folder })
  const port = await freePort()
  const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: folder, fsync: 'off', port }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(join(BIN, 'postgres'), ['-D', data, ...flags], {
    ...account,
    cwd: folder,
    stdio: 'ignore',
  })
  stack.defer(async () => {
    server.kill('SIGINT')
    if (server.exitCode === null) await once(server, 'exit')
  })
  const at = (role: string, name: string) => `postgres://${role}@127.0.0.1:${port}/${name}`
  await using owner = new Database({ url: at('postgres', 'postgres'), maxConnections: 1 })
  await until('it to listen', () =>
    owner.sql`SELECT 1`.then(
      () => true,
      () => false,
    ),
  )
  await owner.sql.unsafe('CREATE ROLE longwave LOGIN')
  await owner.sql.unsafe('CREATE DATABASE longwave OWNER longwave')
  const parts = stack.move()
  return { url: at('longwave', 'longwave'), [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

test.skipIf(!isThere)(`Postgres ${OLDEST} serves, and lets go of what is over the retention`, async () => {
  await using postgres = await startOldest()
  await using gateway = await startGateway(postgres.url)
  await using database = new Database({ url: postgres.url, maxConnections: 2 })
  const alice = await Person.signUp(gateway.url)
  const bob = await Person.signUp(gateway.url)
  await alice.send(await alice.direct(bob), 'one')
  await until('the message', async () => (await bob.readAll()).events.length > 0)

  await database.sql.unsafe(
    "CREATE TABLE inbox_20240101 PARTITION OF inbox FOR VALUES FROM ('2024-01-01Z') TO ('2024-01-08Z')",
  )
  using housekeeping = new Housekeeping(database, 30, (error) => expect.fail(String(error)))
  await housekeeping.run()
  const [row] = await database.sql<{ part: string | null }[]>`SELECT to_regclass('inbox_20240101') AS part`
  expect(row?.part).toBeNull()
})
