import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startGateway } from './support/gateway.ts'
import { Person } from './support/person.ts'
import { startPostgres } from './support/postgres.ts'
import { RawConnection } from './support/raw.ts'
import { until } from './support/wait.ts'

const run = promisify(execFile)

/** How long a draining node goes on accepting. */
const ACCEPT_MS = 4_000

/** Keeps this process, and the gateway in it, from doing anything. */
function freeze(untilMs: number): void {
  while (performance.now() < untilMs);
}

test('P9 whatever has reached a draining node when it closes is answered', async () => {
  await using postgres = await startPostgres()
  await using gateway = await startGateway(postgres.url)
  using idle = await RawConnection.open(gateway.url)
  idle.request('GET /healthz', {})
  expect(await idle.status()).toBe(200)
  idle.received = ''

  const closesAt = performance.now() + ACCEPT_MS
  const drained = gateway.drain()
  await until('the last moment', () => performance.now() > closesAt - 100)
  // From here the loop goes straight to its timers, before it looks at any socket.
  await new Promise(setImmediate)
  // Both are in the kernel's hands when the gateway wakes up to close: on a connection it has taken for idle, and on some
  // that it has not accepted yet.
  idle.request('GET /healthz', {})
  const fresh = Array.from({ length: 8 }, () =>
    run('curl', ['-s', '-w', '%{http_code}', '-o', '/dev/null', `${gateway.url}/healthz`]),
  )
  freeze(closesAt + 300)
  expect(await idle.status()).toBe(200)
  expect(idle.received).toMatch(/connection: close/i)
  for (const { stdout } of await Promise.all(fresh)) expect(stdout).toBe('200')
  await drained
})

test('P9 the answer to a poll that a node ends as it drains says that the connection ends too', async () => {
  await using postgres = await startPostgres()
  await using gateway = await startGateway(postgres.url)
  const person = await Person.signUp(gateway.url)
  const parked = person.poll('wait=50')
  await until('the poll to be parked', async () => (await person.poll('wait=0')).status === 200)
  await gateway.drain(true)
  const { status, headers } = await parked
  expect([status, headers.get('connection')]).toEqual([200, 'close'])
})
