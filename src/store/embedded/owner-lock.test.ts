import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { StartError } from '../../start-error.ts'
import { takeOwnerLock } from './owner-lock.ts'
import { identify } from './process-identity.ts'

const someRank = '00000000-0000-4000-8000-000000000000'
const starter = `
  import { takeOwnerLock } from ${JSON.stringify(new URL('./owner-lock.ts', import.meta.url).href)}
  process.on('message', async () => {
    await takeOwnerLock(process.argv[1]).then(() => process.send('won'), (error) => process.send(error.message))
  })
  process.send('up')
`

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'longwave-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function leaveClaim(folder: string, owner: object | string): Promise<void> {
  await (await takeOwnerLock(folder)).release()
  const claim = join(folder, 'gateway.lock', someRank)
  await writeFile(claim, typeof owner === 'string' ? owner : JSON.stringify(owner))
  await writeFile(`${claim}.held`, '')
}

test('a second owner is refused in one line that names folder and pid, until the first lets go', async () => {
  const folder = await makeFolder()
  const lock = await takeOwnerLock(folder)
  const refusal = await takeOwnerLock(folder).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(StartError)
  expect((refusal as Error).message).toMatch(
    new RegExp(`^another gateway \\(pid ${process.pid}\\).*${folder}.*$`),
  )
  await lock.release()
  await (await takeOwnerLock(folder)).release()
  expect(await readdir(join(folder, 'gateway.lock'))).toEqual([])
})

test.skipIf(process.platform !== 'linux')(
  'a claim whose pid now belongs to another process does not count',
  async () => {
    const folder = await makeFolder()
    await leaveClaim(folder, { pid: process.ppid, started: 'an earlier boot/123' })
    await (await takeOwnerLock(folder)).release()
  },
)

test('a claim counts by its pid alone where start times are unknown', async () => {
  const folder = await makeFolder()
  await leaveClaim(folder, { pid: process.ppid, started: null })
  await expect(takeOwnerLock(folder)).rejects.toThrow(`pid ${process.ppid}`)
})

test('claims of dead processes and claims torn by a power cut do not count', async () => {
  const folder = await makeFolder()
  const dead = fork('-e', { execArgv: ['-e', ''], stdio: 'ignore' })
  const owner = identify(dead.pid ?? 0)
  await once(dead, 'exit')
  await leaveClaim(folder, owner ?? {})
  await (await takeOwnerLock(folder)).release()
  await leaveClaim(folder, '{"pid":')
  await (await takeOwnerLock(folder)).release()
})

test('of eight starters at the same moment exactly one wins, over a stale claim', async () => {
  const folder = await makeFolder()
  await leaveClaim(folder, { pid: 2 ** 22 + 1, started: null })
  const execArgv = ['--input-type=module-typescript', '-e', starter]
  const starters = Array.from({ length: 8 }, () => fork(folder, { execArgv }))
  onTestFinished(() => void starters.map((child) => child.kill('SIGKILL')))
  await Promise.all(starters.map((child) => once(child, 'message')))
  const answers = Promise.all(starters.map((child) => once(child, 'message')))
  for (const child of starters) child.send('go')
  const said = (await answers).map(([answer]) => answer as string)
  expect(said.filter((answer) => answer === 'won')).toHaveLength(1)
  expect(said.filter((answer) => answer.startsWith('another gateway'))).toHaveLength(7)
})
