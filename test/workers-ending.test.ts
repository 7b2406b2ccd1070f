import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { makeDataDir, postmasterOf } from './support/embedded-postgres.ts'
import { call, type Person } from './support/person.ts'
import type { Stream } from './support/stream.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'
import { medianLag, pair, runsAny, startTwoWorkers, streamElsewhere, workersOf } from './support/workers.ts'

const { postgres, gateway: single } = useGateway()

const startTwo = () => startTwoWorkers({ DATABASE_URL: postgres.url })

/** Connections that a gateway has accepted, as the socket table says. */
function acceptedOn(url: string): number {
  const local = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')
  const table = readFileSync('/proc/net/tcp', 'utf8')
  return [...table.matchAll(new RegExp(`\\d: \\w+:${local} \\w+:\\w+ 01 `, 'g'))].length
}

/** The pid of the worker that serves a stream, which is in its node's name. */
async function workerOf(stream: Stream): Promise<number> {
  const { node } = JSON.parse((await stream.waitForFrame('hello')).data)
  return Number(String(node).split('-').at(-2))
}

/** Repeats with the same key until it is answered, as a client would. */
function sendUntilAnswered(sender: Person, chat: string, text: string) {
  return until(`an answer to ${text}`, async () => {
    const answer = await sender.send(chat, text, `key-${text}`).catch(() => undefined)
    return answer !== undefined && answer.status < 300
  })
}

test('P1 P2 P9 a worker killed under load is replaced; every send with retry arrives once', async () => {
  const { gateway, url } = await startTwo()
  const { alice, bob, chat } = await pair(url)
  let { cursor } = await bob.readAll()
  const got: string[] = []
  let sent = 0
  let isEnough = false
  const sending = (async () => {
    for (; !isEnough; sent += 10) {
      const texts = Array.from({ length: 10 }, (_, n) => String(sent + n))
      await Promise.all(texts.map((text) => sendUntilAnswered(alice, chat, text)))
    }
  })()
  for (let kills = 0; kills < 2; kills += 1) {
    using stream = await bob.stream('after=0', { 'last-event-id': cursor })
    await until('some progress', () => stream.events.length > 50)
    const victim = await workerOf(stream)
    process.kill(victim, 'SIGKILL')
    await stream.waitForEnd()
    got.push(...stream.texts())
    cursor = stream.lastEventId
    await until('another worker', () => workersOf(gateway).filter((pid) => pid !== victim).length === 2)
  }
  isEnough = true
  await sending
  got.push(...(await bob.readAll(cursor)).events.map(({ message }) => message?.text ?? ''))
  expect(got).toHaveLength(sent)
  expect(new Set(got).size).toBe(sent)
  // The one that came instead serves, and hears what the other one commits.
  expect(await medianLag(url)).toBeLessThan(200)
})

test('a connection handed to a worker that dies before it takes it ends at once', async () => {
  const { gateway, url } = await startTwo()
  const pids = workersOf(gateway)
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  const request = call(url, 'GET', '/healthz').then(
    ({ status }) => status,
    () => 'ended',
  )
  // Accepted and handed over: of the two sockets of the connection it is the gateway's side that is open.
  await until('the connection', () => acceptedOn(url) > 0)
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  expect(await Promise.race([request, until('an end', () => false, 3_000).catch(() => 'nothing')])).toBe(
    'ended',
  )
})

test('workers that die all together come back on the same port', async () => {
  const { gateway, url } = await startTwo()
  const { alice, bob, chat } = await pair(url)
  const { cursor } = await bob.readAll()
  const before = workersOf(gateway)
  for (const pid of before) process.kill(pid, 'SIGKILL')
  await sendUntilAnswered(alice, chat, 'after')
  expect((await bob.readAll(cursor)).events.map(({ message }) => message?.text)).toEqual(['after'])
  expect(runsAny(before)).toBe(false)
})

test('P9 SIGTERM drains all: no send fails while it accepts, nothing is lost, nobody is left', async () => {
  const { gateway, url } = await startTwo()
  const { alice, bob, chat } = await pair(url)
  const streams = [await streamElsewhere(bob)]
  streams.push(await streamElsewhere(bob, streams[0]?.node))
  const pids = workersOf(gateway)
  const answered: string[] = []
  let isLeaving = false
  const senders = Array.from({ length: 8 }, async (_, sender) => {
    for (let n = 0; !isLeaving; n += 1) {
      const text = `${sender}.${n}`
      expect((await alice.send(chat, text)).status).toBe(201)
      answered.push(text)
    }
  })
  await until('load', () => answered.length > 50)
  const began = performance.now()
  gateway.child.kill('SIGTERM')
  // As a balancer would: it sees that /readyz has turned, and sends nobody there from then on.
  await until('/readyz to turn', async () => (await call(url, 'GET', '/readyz')).status === 503)
  const turned = answered.length
  await until('sends while it drains', () => answered.length > turned + 50)
  isLeaving = true
  await Promise.all(senders)
  for (const { stream } of streams) {
    expect(JSON.parse((await stream.waitForFrame('bye')).data)).toMatchObject({ reason: 'draining' })
  }
  expect(await gateway.exited).toEqual({ code: 0, signal: null })
  expect(performance.now() - began).toBeLessThan(10_000)
  expect(runsAny(pids)).toBe(false)
  expect(gateway.output).not.toContain('starting another')
  const kept = (await bob.at(single.url).readAll()).events.flatMap(({ message }) => message?.text ?? [])
  expect(kept.sort()).toEqual(answered.sort())
})

test('a worker that hangs when all are to go is ended, and the embedded Postgres stopped', async () => {
  const dataDir = await makeDataDir()
  const { gateway } = await startTwoWorkers({ DATA_DIR: dataDir })
  const pids = workersOf(gateway)
  const { process: postmaster } = await postmasterOf(dataDir)
  process.kill(pids[0] ?? 0, 'SIGSTOP')
  const began = performance.now()
  gateway.child.kill('SIGTERM')
  expect((await gateway.exited).code).toBe(0)
  expect(performance.now() - began).toBeLessThan(10_000)
  expect(runsAny([...pids, postmaster.pid])).toBe(false)
})

test('Ctrl-C, which a terminal sends to all, ends all without the wait', async () => {
  const { gateway } = await startTwo()
  const pids = workersOf(gateway)
  const began = performance.now()
  for (const pid of [...pids, gateway.child.pid ?? 0]) process.kill(pid, 'SIGINT')
  expect((await gateway.exited).code).toBe(0)
  expect(performance.now() - began).toBeLessThan(3_000)
  expect(runsAny(pids)).toBe(false)
})

test('workers whose primary is killed end too; the next start adopts their Postgres', async () => {
  const dataDir = await makeDataDir()
  const env = { DATA_DIR: dataDir }
  const { gateway, url } = await startTwoWorkers(env)
  const { alice, bob, chat } = await pair(url)
  await alice.send(chat, 'kept')
  const pids = workersOf(gateway)
  expect(pids).toHaveLength(2)
  const { process: postmaster } = await postmasterOf(dataDir)
  await gateway.kill('SIGKILL')
  await until('the workers to end', () => !runsAny(pids), 2_000)
  const again = await startTwoWorkers(env)
  expect((await postmasterOf(dataDir)).process).toEqual(postmaster)
  const { events } = await bob.at(again.url).readAll()
  expect(events.map(({ message }) => message?.text)).toContain('kept')
})
