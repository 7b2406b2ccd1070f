import { chmodSync, existsSync } from 'node:fs'
import { chmod, chown, cp, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { StartError } from '../src/start-error.ts'
import { canEnter } from '../src/store/embedded/account.ts'
import { startEmbeddedPostgres } from '../src/store/embedded/index.ts'
import {
  ask,
  cleanUpAfter,
  homeOf,
  makeDataDir,
  makeFolder,
  postmasterOf,
  start,
  startOwner,
} from './support/embedded-postgres.ts'

const insertRow = 'CREATE TABLE kept AS SELECT 42 AS answer'
const readRow = 'SELECT answer FROM kept'
const quiet = { info() {}, warn() {}, error() {} }
const isRoot = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }

async function refusal(dataDir: string): Promise<string> {
  const outcome = await startEmbeddedPostgres({ dataDir, log: quiet }).catch((error: unknown) => error)
  expect(outcome).toBeInstanceOf(StartError)
  const { message } = outcome as Error
  expect(message).not.toContain('\n')
  return message
}

test('a second gateway in another process is refused, and of several at once one starts', async () => {
  const dataDir = await makeDataDir()
  const owners = [startOwner(dataDir), startOwner(dataDir), startOwner(dataDir)]
  const outcomes = await Promise.all(
    owners.map((owner) => Promise.race([owner.told('started'), owner.told('failed')])),
  )
  const winner = outcomes.findIndex(({ kind }) => kind === 'started')
  expect(outcomes.filter(({ kind }) => kind === 'started')).toHaveLength(1)
  expect(await refusal(dataDir)).toBe(
    `another gateway (pid ${owners[winner]?.pid}) already runs on DATA_DIR ${dataDir}: stop it, or give this one another DATA_DIR`,
  )
  await owners[winner]?.end('SIGTERM')
  await start(dataDir)
})

test('a DATA_DIR that is a file is refused in plain words', async () => {
  const file = join(await makeFolder(), 'file')
  await writeFile(file, '')
  expect(await refusal(file)).toBe(`DATA_DIR ${file} is not a folder: choose another DATA_DIR`)
  expect(await refusal(join(file, 'below'))).toMatch(/is not inside a folder: choose another DATA_DIR$/)
})

test.skipIf(process.platform !== 'linux')(
  'a DATA_DIR where nobody can make folders is refused in plain words',
  async () => {
    expect(await refusal('/proc/longwave/data')).toMatch(
      /^DATA_DIR \/proc\/longwave\/data .*choose another DATA_DIR$/,
    )
  },
)

test('a long path is no obstacle to the unix socket', async () => {
  const dataDir = await makeDataDir('long-'.repeat(40))
  const { socketDir, stop } = await start(dataDir)
  expect(Buffer.byteLength(socketDir)).toBeLessThanOrEqual(90)
  expect((await stat(socketDir)).mode & 0o777).toBe(0o700)
  await stop()
  expect(existsSync(socketDir)).toBe(false)
})

test.skipIf(isRoot)('an unwritable DATA_DIR is refused in plain words', async () => {
  const parent = await makeFolder()
  chmodSync(parent, 0o500)
  expect(await refusal(join(parent, 'data'))).toMatch(/^no permission for /)
})

describe.runIf(isRoot)('as root', () => {
  test('Postgres runs as another user, in DATA_DIR where that user can enter', async () => {
    const dataDir = await makeDataDir()
    await start(dataDir)
    const { process: running } = await postmasterOf(dataDir)
    expect((await stat(`/proc/${running.pid}`)).uid).not.toBe(0)
    expect(homeOf(dataDir)).toBe(join(dataDir, 'postgres'))
  })

  test('below a closed folder the cluster lives elsewhere, and a moved DATA_DIR finds it again', async () => {
    const { dataDir, closed } = await makeClosedDataDir()
    const first = await start(dataDir)
    await ask(first.url, insertRow)
    await first.stop()
    const home = homeOf(dataDir)
    expect(home.startsWith(closed)).toBe(false)
    const moved = join(closed, 'moved')
    await rename(dataDir, moved)
    cleanUpAfter(moved)
    expect(await ask((await start(moved)).url, readRow)).toEqual([{ answer: 42 }])
    expect(homeOf(moved)).toBe(home)
  })

  test('neither a copy of DATA_DIR nor one made anew gets at the database', async () => {
    const { dataDir, closed } = await makeClosedDataDir()
    const first = await start(dataDir)
    await ask(first.url, insertRow)
    await first.stop()
    const copy = join(closed, 'copy')
    await cp(dataDir, copy, { recursive: true })
    expect(await refusal(copy)).toContain(`is a copy of ${dataDir}`)
    await rm(join(copy, 'postgres.json'))
    cleanUpAfter(copy)
    await expect(ask((await start(copy)).url, readRow)).rejects.toMatchObject({ code: '42P01' })
  })

  test('a home that is missing or has been put to another use is not begun anew in silence', async () => {
    const { dataDir } = await makeClosedDataDir()
    await (await start(dataDir)).stop()
    const home = homeOf(dataDir)
    await rename(home, `${home}-away`)
    expect(await refusal(dataDir)).toContain(`should be in ${home}, but is not`)
    await rename(`${home}-away`, home)
    await start(dataDir)
  })

  test('a folder closed later takes the cluster along, and what still runs in it', async () => {
    const folder = await makeFolder()
    const dataDir = cleanUpAfter(join(folder, 'data'))
    const owner = startOwner(dataDir)
    await ask((await owner.told('started')).url ?? '', insertRow)
    await owner.end('SIGKILL')
    await chmod(folder, 0o700)
    expect(await ask((await start(dataDir)).url, readRow)).toEqual([{ answer: 42 }])
    expect(homeOf(dataDir).startsWith(folder)).toBe(false)
  })

  const here = process.cwd()
  describe.runIf(canEnter(nobody, here) && canEnter(nobody, process.execPath.replace(/\/[^/]*$/, '')))(
    'for others',
    () => {
      test('an ordinary user has everything in DATA_DIR, and root can go on with it', async () => {
        const folder = await makeFolder()
        await chown(folder, nobody.uid, nobody.gid)
        const dataDir = cleanUpAfter(join(folder, 'data'))
        const owner = startOwner(dataDir, nobody)
        await ask((await owner.told('started')).url ?? '', insertRow)
        expect((await stat(join(dataDir, 'postgres', 'cluster'))).uid).toBe(nobody.uid)
        await owner.end('SIGTERM')
        expect(await ask((await start(dataDir)).url, readRow)).toEqual([{ answer: 42 }])
        const { process: running } = await postmasterOf(dataDir)
        expect((await stat(`/proc/${running.pid}`)).uid).toBe(nobody.uid)
      })

      test('an ordinary user without rights on DATA_DIR is told so', async () => {
        const parent = await makeFolder()
        const { name, reason } = await startOwner(join(parent, 'data'), nobody).told('failed')
        expect(name).toBe('StartError')
        expect(reason).toMatch(/^no permission for .*\(uid 65534\).*choose another DATA_DIR$/)
        expect(await readdir(parent)).toEqual([])
      })
    },
  )

  async function makeClosedDataDir(): Promise<{ dataDir: string; closed: string }> {
    const closed = join(await makeFolder(), 'closed')
    await mkdir(closed, { mode: 0o700 })
    return { dataDir: cleanUpAfter(join(closed, 'data')), closed }
  }
})
