import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { StartError } from '../../start-error.ts'
import { takeOwnerLock } from './owner-lock.ts'
import { identify } from './process-identity.ts'

const someRank = '00000000-0000-4000-8000-000000000000'
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
  const dead = spawn('sleep', ['0'])
  const owner = identify(dead.pid ?? 0)
  await once(dead, 'exit')
  await leaveClaim(folder, owner ?? {})
  await (await takeOwnerLock(folder)).release()
  await leaveClaim(folder, '{"pid":')
  await (await takeOwnerLock(folder)).release()
})

test('of eight starters at the same moment exactly one wins, over a stale claim', async () => {
  for (let round = 0; round < 20; round++) {
    const folder = await makeFolder()
    await leaveClaim(folder, { pid: 2 ** 22 + 1, started: null })
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => takeOwnerLock(folder)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  }
})
