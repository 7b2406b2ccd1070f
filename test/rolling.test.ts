import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Balancer } from './support/balancer.ts'
import { Follower } from './support/follower.ts'
import { freePort } from './support/free-port.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { KeepAliveClient } from './support/keep-alive-client.ts'
import { NatsServer } from './support/nats-server.ts'
import { Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'

/** How long one sender waits between two sends, in ms: some hardly let go of their connection, some leave it idle. */
const PACES = [20, 20, 60, 700, 1_700, 4_100]

let postgres: TestPostgres
let nats: NatsServer

beforeAll(async () => {
  postgres = await startPostgres()
  nats = await NatsServer.start()
})

afterAll(async () => {
  await nats?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

const startNode = (port: number) =>
  new GatewayProcess({ DATABASE_URL: postgres.url, NATS_URL: nats.url(), PORT: String(port) })

/** Sends at its pace until it is told to stop; with keys it may repeat what was not answered, without it may not. */
async function sendOn(
  sender: Person,
  { chat, lane, pace, keyed }: { chat: string; lane: string; pace: number; keyed: boolean },
  client: KeepAliveClient,
  signal: AbortSignal,
): Promise<{ text: string; outcome: number | string }[]> {
  const outcomes: { text: string; outcome: number | string }[] = []
  for (let n = 0; !signal.aborted; n += 1) {
    const text = `${lane}.${n}`
    const path = `/v1/conversations/${chat}/messages`
    const headers = { ...sender.authorization, ...(keyed && { 'idempotency-key': text }) }
    const outcome = await client
      .post(path, headers, { text })
      .catch((error: { code: string; reused: boolean }) => `${error.code}, reused: ${error.reused}`)
    outcomes.push({ text, outcome })
    await pause(pace * (0.5 + Math.random()))
  }
  return outcomes
}

test('P9 rolling over three nodes under load fails no send and loses no event', {
  timeout: 90_000,
}, async () => {
  await using stack = new AsyncDisposableStack()
  const ports = [await freePort(), await freePort(), await freePort()]
  const nodes = ports.map((port) => stack.use(startNode(port)))
  const bases = await Promise.all(nodes.map((node) => node.url()))
  const balancer = stack.use(await Balancer.start('haproxy', 'least connections', bases))
  const alice = await Person.signUp(balancer.url)
  const bob = await Person.signUp(balancer.url)
  const chat = await alice.direct(bob)
  const { cursor } = await bob.readAll()
  const followers = [bases, bases.toReversed(), [balancer.url]].map((each) =>
    stack.use(new Follower(bob, cursor, each)),
  )
  for (const follower of followers) await follower.waitForStream()

  const rolled = new AbortController()
  const direct = PACES.map((_, n) => stack.use(new KeepAliveClient(bases, n % bases.length)))
  const balanced = PACES.map(() => stack.use(new KeepAliveClient([balancer.url])))
  // Who talks to a node itself can be writing just as it closes, and needs a key. Behind a balancer nobody can.
  const lanes = [direct, balanced].flatMap((clients, side) =>
    clients.map((client, n) => {
      const lane = { chat, lane: `${side}.${n}`, pace: PACES[n] ?? 0, keyed: side === 0 }
      return sendOn(alice, lane, client, rolled.signal)
    }),
  )
  for (const [index, port] of ports.entries()) {
    expect((await nodes[index]?.kill('SIGTERM'))?.code).toBe(0)
    nodes[index] = stack.use(startNode(port))
    await nodes[index].url()
  }
  rolled.abort()

  const outcomes = (await Promise.all(lanes)).flat()
  expect(outcomes.filter(({ outcome }) => outcome !== 201 && outcome !== 200)).toEqual([])
  expect(direct.reduce((sum, { repeats }) => sum + repeats, 0)).toBeLessThan(5)
  expect(outcomes.length).toBeGreaterThan(1_000)
  for (const follower of followers) {
    const texts = await follower.waitForTexts(outcomes.length)
    expect(texts.toSorted()).toEqual(outcomes.map(({ text }) => text).toSorted())
    const ids = follower.ids()
    expect(ids).toEqual(ids.map((_, each) => (ids[0] ?? 0) + each))
    expect(follower.byes).toContain('draining')
  }
})
