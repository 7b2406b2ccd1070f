import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { freePort } from './support/free-port.ts'
import { Person } from './support/person.ts'
import { startPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const SECTION = README.split('\n## ').find((each) => each.startsWith('More than one node')) ?? ''
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const env = { PATH: `${process.env.PATH}:/usr/sbin`, HOME: process.env.HOME, RATE_LIMITS: 'off' }
const run = promisify(execFile)

/** Ports of the section, each of which the test replaces by a free one. Those of 10.0.0.x are of deploy/haproxy.cfg. */
const PORTS = /(?<!10\.0\.0\.1\d:)\b(42|62|80)(2|8)[0-4]\b/g

/** A shell and all that it leaves in the background. */
async function startShell(script: string, logFile: string): Promise<AsyncDisposable> {
  const log = await open(logFile, 'a')
  // A process group of its own, so that all of it can be ended.
  const options = { cwd: ROOT, env, detached: true, stdio: ['ignore', log.fd, log.fd] as const }
  const shell = spawn('bash', ['-c', `${script}\nwait`], { ...options, stdio: [...options.stdio] })
  const exited = once(shell, 'exit')
  await log.close()
  return {
    async [Symbol.asyncDispose]() {
      signalGroup(shell.pid ?? 0, 'SIGTERM')
      await exited
      await until('all of it to end', () => !signalGroup(shell.pid ?? 0, 0))
    },
  }
}

/** False when nobody is left in the group. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal)
  } catch {
    return false
  }
}

test('the commands of “More than one node” work as they stand', { timeout: 60_000 }, async () => {
  await using postgres = await startPostgres()
  const folder = await mkdtemp(join(tmpdir(), 'longwave-readme-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const ports = new Map<string, number>()
  for (const [port] of SECTION.matchAll(PORTS)) if (!ports.has(port)) ports.set(port, await freePort())
  const text = SECTION.replaceAll(PORTS, (port) => String(ports.get(port)))
    .replaceAll('postgres://longwave:secret@127.0.0.1:5432/longwave', postgres.url)
    .replaceAll('/tmp/', `${folder}/`)
  const blocks = [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, commands = '']) => commands)
  const look = blocks.pop() ?? ''
  const logFile = join(folder, 'log')
  stack.use(await startShell(blocks.join('\n'), logFile))

  const base = `http://127.0.0.1:${ports.get('8080')}`
  const nodes = ['8081', '8082', '8083'].map((port) => `http://127.0.0.1:${ports.get(port)}`)
  for (const url of [...nodes, base]) {
    const isReady = () =>
      fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
    await until(`${url} to be ready`, isReady, 30_000).catch(async (error) => {
      throw new Error(await readFile(logFile, 'utf8'), { cause: error })
    })
  }
  const { stdout } = await run('bash', ['-c', look], { env })
  expect(stdout).toContain(`"endpoints":["${base}"]`)
  expect(stdout).toContain('"checks":{"postgres":"ok","nats":"ok","accepting":"ok"}')

  const [alice, bob] = [await Person.signUp(base), await Person.signUp(base)]
  const chat = await alice.direct(bob)
  const { cursor } = await bob.readAll()
  const streams = await Promise.all(nodes.map((node) => bob.at(node).stream(`after=${cursor}`)))
  for (const stream of streams) await stream.waitForFrame('heartbeat')
  for (const node of nodes) expect((await alice.at(node).send(chat, node)).status).toBe(201)
  // Sooner than a node looks for itself: NATS has carried it.
  for (const stream of streams) await until('all, live', () => stream.texts().length === 3, 1_500)
  for (const stream of streams) expect(stream.texts()).toEqual(nodes)
  for (const stream of streams) stream[Symbol.dispose]()
})
