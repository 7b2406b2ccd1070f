import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { expect, onTestFinished, test } from 'vitest'
import { StartError } from '../src/start-error.ts'
import { startEmbeddedPostgres } from '../src/store/embedded/index.ts'
import { findPostmaster } from '../src/store/embedded/postmaster.ts'
import { ask, homeOf, makeDataDir, postmasterOf, start, startOwner } from './support/embedded-postgres.ts'
import { until } from './support/wait.ts'

const insertRow = 'CREATE TABLE kept AS SELECT 42 AS answer'
const readRow = 'SELECT answer FROM kept'
const quiet = { info() {}, warn() {}, error() {} }

test('a first start gives a durable database for one role that is no superuser', async () => {
  const { url, socketDir } = await start(await makeDataDir())
  const settings = await ask<{ name: string; setting: string }>(url, 'SELECT name, setting FROM pg_settings')
  const setting = Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))
  expect(setting).toMatchObject({
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    data_checksums: 'on',
  })
  expect(setting).toMatchObject({
    listen_addresses: '127.0.0.1',
    server_encoding: 'UTF8',
    TimeZone: 'UTC',
    jit: 'off',
  })
  expect(
    await ask(url, 'SELECT current_database() AS db, rolsuper FROM pg_roles WHERE rolname = current_user'),
  ).toEqual([{ db: 'longwave', rolsuper: false }])
  const overSocket = postgres(url, { host: socketDir, max: 1 })
  expect(await overSocket`SELECT inet_server_addr() AS address`).toEqual([{ address: null }])
  await overSocket.end()
  await expect(ask(url.replace(/:[0-9a-f]{48}@/, ':wrong@'), 'SELECT 1')).rejects.toMatchObject({
    code: '28P01',
  })
})

test('a second start is quick, on the same port, with the data', async () => {
  const dataDir = await makeDataDir('with a blank, "quotes" and ünïcode')
  const first = await start(dataDir)
  await ask(first.url, insertRow)
  await first.stop()
  expect(await findPostmaster(join(homeOf(dataDir), 'cluster'))).toBeNull()
  const began = performance.now()
  const second = await start(dataDir)
  expect(await ask(second.url, readRow)).toEqual([{ answer: 42 }])
  expect(performance.now() - began).toBeLessThan(1500)
  expect(second.url).toBe(first.url)
})

test('a Postgres that outlived its killed gateway is adopted, and supervised like a child', async () => {
  const dataDir = await makeDataDir()
  const owner = startOwner(dataDir)
  const { url = '' } = await owner.told('started')
  await ask(url, insertRow)
  const before = await postmasterOf(dataDir)
  await owner.end('SIGKILL')

  const adopting = await start(dataDir)
  expect(adopting.url).toBe(url)
  expect((await postmasterOf(dataDir)).process).toEqual(before.process)

  process.kill(before.process.pid, 'SIGKILL')
  await postmasterOf(dataDir, before.process.pid)
  expect(await ask(url, readRow)).toEqual([{ answer: 42 }])
  await adopting.stop()
  expect(await findPostmaster(join(homeOf(dataDir), 'cluster'))).toBeNull()
})

test('a killed Postgres comes back on its port although a process of it hangs on the shared memory', async () => {
  const dataDir = await makeDataDir()
  const { url, lines } = await start(dataDir)
  await ask(url, insertRow)
  const { process: killed } = await postmasterOf(dataDir)
  const hanging = postgres(url, { max: 1, onclose() {} })
  onTestFinished(() => hanging.end({ timeout: 0 }))
  const [backend] = await hanging`SELECT pg_backend_pid() AS pid`
  process.kill(backend?.pid, 'SIGSTOP')
  process.kill(killed.pid, 'SIGKILL')

  await postmasterOf(dataDir, killed.pid)
  expect(await ask(url, readRow)).toEqual([{ answer: 42 }])
  await until('the log line', () => lines.includes('Postgres is back'))
  expect(lines.filter((line) => line.includes('ended'))).toHaveLength(1)
})

test('a Postgres that somebody shut down comes back, time and again', async () => {
  const dataDir = await makeDataDir()
  const { url } = await start(dataDir)
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    const { process: running } = await postmasterOf(dataDir)
    process.kill(running.pid, signal)
    await postmasterOf(dataDir, running.pid)
    expect(await ask(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  }
})

test('a kill of gateway and Postgres at once costs no committed row', async () => {
  const dataDir = await makeDataDir()
  const owner = startOwner(dataDir)
  const { url = '' } = await owner.told('started')
  await ask(url, insertRow)
  const { process: killed } = await postmasterOf(dataDir)
  await owner.end('SIGKILL')
  process.kill(killed.pid, 'SIGKILL')
  const again = await start(dataDir)
  expect((await postmasterOf(dataDir)).process).not.toEqual(killed)
  expect(await ask(again.url, readRow)).toEqual([{ answer: 42 }])
})

test('a kill while the cluster is being made leaves nothing that a start stumbles over', async () => {
  const dataDir = await makeDataDir()
  const home = homeOf(dataDir)
  const owner = startOwner(dataDir)
  const unfinished = await until('an unfinished cluster', async () => {
    const names = existsSync(home) ? await readdir(home) : []
    return names.find((name) => existsSync(join(home, name, 'PG_VERSION')))
  })
  await owner.end('SIGKILL')
  expect(unfinished).toMatch(/^new-cluster-/)
  const { url } = await start(dataDir)
  expect(await ask(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  expect(await readdir(home)).not.toContain(unfinished)
})

test('a postmaster.pid whose pid now belongs to another process is seen through', async () => {
  const dataDir = await makeDataDir()
  const first = await start(dataDir)
  await ask(first.url, insertRow)
  const pidFolder = join(homeOf(dataDir), 'cluster')
  const pidFile = join(pidFolder, 'postmaster.pid')
  const written = await readFile(pidFile, 'utf8')
  await first.stop()
  const bystander = runBystander(await stat(pidFolder))
  await writeFile(pidFile, written.replace(/^\d+/, String(bystander.pid)))
  const { url } = await start(dataDir)
  expect(await ask(url, readRow)).toEqual([{ answer: 42 }])
  expect(bystander.exitCode ?? bystander.signalCode).toBeNull()
})

/** Of the same user: Postgres itself sees through a pid that it may not signal. */
function runBystander({ uid, gid }: { uid: number; gid: number }): ChildProcess {
  const child = spawn('sleep', ['60'], { cwd: '/', ...(process.getuid?.() === 0 && { uid, gid }) })
  onTestFinished(async () => {
    child.kill()
    await once(child, 'exit')
  })
  return child
}

test('a lost password file costs a new password, not the data', async () => {
  const dataDir = await makeDataDir()
  const owner = startOwner(dataDir)
  const { url = '' } = await owner.told('started')
  await ask(url, insertRow)
  await owner.end('SIGKILL')
  await rm(join(dataDir, 'postgres.password'))
  const again = await start(dataDir)
  expect(again.url).not.toBe(url)
  expect(await ask(again.url, readRow)).toEqual([{ answer: 42 }])
})

test('a start that Postgres refuses tells its own words on one line, and holds no lock', async () => {
  const dataDir = await makeDataDir()
  await (await start(dataDir)).stop()
  const conf = join(homeOf(dataDir), 'cluster', 'postgresql.conf')
  const good = await readFile(conf, 'utf8')
  await appendFile(conf, "shared_preload_libraries = 'nowhere'\n")
  const failure = await startEmbeddedPostgres({ dataDir, log: quiet }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(StartError)
  expect((failure as Error).message).toMatch(
    /^Postgres does not start: could not access file "nowhere".*postgres\.log\)$/,
  )
  await writeFile(conf, good)
  await start(dataDir)
})

test('a start given up leaves nothing running and can be repeated', async () => {
  const dataDir = await makeDataDir()
  const giveUp = new AbortController()
  const starting = startEmbeddedPostgres({ dataDir, log: quiet, signal: giveUp.signal })
  await until('initdb at work', () => existsSync(homeOf(dataDir)))
  giveUp.abort()
  await expect(starting).rejects.toThrow()
  expect(await findPostmaster(join(homeOf(dataDir), 'cluster'))).toBeNull()
  await start(dataDir)
})
