import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { MAX_TEXT_LENGTH, MAX_WAIT_SECONDS } from '../src/protocol/constants.ts'
import { Balancer, type Kind, type Way } from './support/balancer.ts'
import { Follower } from './support/follower.ts'
import { startGateway } from './support/gateway.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { NatsServer } from './support/nats-server.ts'
import { call, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { startSilentNode } from './support/silent-node.ts'
import { openStream } from './support/stream.ts'
import { until } from './support/wait.ts'

const KINDS: Kind[] = ['nginx', 'haproxy']
const WAYS: Way[] = ['round robin', 'least connections', 'hash']

let postgres: TestPostgres
let nats: NatsServer
let nodes: Gateway[]

/** A node in this process, one of many. */
function startNode(): Promise<Gateway> {
  return startGateway(postgres.url, {
    nats: { servers: [`127.0.0.1:${nats.port}`] },
    trustedProxies: [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }],
  })
}

beforeAll(async () => {
  postgres = await startPostgres()
  nats = await NatsServer.start()
  nodes = []
  for (let n = 0; n < 3; n += 1) nodes.push(await startNode())
})

afterAll(async () => {
  await Promise.all((nodes ?? []).map((node) => node[Symbol.asyncDispose]()))
  await nats?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

/** Two people in a conversation, and where the second one's inbox stands. */
async function pair(base: string) {
  const [alice, bob] = [await Person.signUp(base), await Person.signUp(base)]
  const chat = await alice.direct(bob)
  return { alice, bob, chat, cursor: (await bob.readAll()).cursor }
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => String(n))

/** Reads on from a cursor with another transport at each request until it has `count` messages. */
async function hop(reader: Person, cursor: string, count: number): Promise<string[]> {
  const texts: string[] = []
  let next = Number(cursor.split('-')[1]) + 1
  for (let n = 0; texts.length < count; n += 1) {
    let events: { id: number; message?: { text: string } }[]
    if (n % 3 === 2) {
      using slice = await openStream(
        `${reader.base}/v1/events?as=sse&limit=4&after=${cursor}`,
        reader.authorization,
      )
      await slice.waitForEnd()
      events = slice.events
      cursor = slice.lastEventId
    } else {
      const { body } = await reader.poll(`limit=3&after=${cursor}&wait=${n % 3 === 0 ? 5 : 0}`)
      events = body.events
      cursor = body.cursor
    }
    for (const { id, message } of events) {
      expect(id).toBe(next++)
      if (message) texts.push(message.text)
    }
  }
  return texts
}

/** Senders that go on until told to stop; each send is expected to be answered well. */
function sendOn(sender: Person, chat: string, { keyed }: { keyed: boolean }) {
  const answers: { text: string; status: number }[] = []
  let stopped = false
  const one = async (lane: number) => {
    for (let n = 0; !stopped; n += 1) {
      const text = `${lane}.${n}`
      const headers = keyed ? { 'idempotency-key': randomUUID() } : {}
      const { status } = await sender.call('POST', `/v1/conversations/${chat}/messages`, { text }, headers)
      answers.push({ text, status })
    }
  }
  const lanes = Promise.all([0, 1, 2, 3].map(one))
  return {
    answers,
    more: (count: number) => {
      const goal = answers.length + count
      return until(`${count} more answers`, () => answers.length >= goal)
    },
    stop: () => {
      stopped = true
      return lanes
    },
  }
}

/** Every answered send has arrived once, and the ids have no gap. */
async function expectAll(follower: Follower, answers: { text: string }[]): Promise<void> {
  const texts = await follower.waitForTexts(answers.length)
  expect(texts.toSorted()).toEqual(answers.map(({ text }) => text).toSorted())
  const ids = follower.ids()
  expect(ids).toEqual(ids.map((_, index) => (ids[0] ?? 0) + index))
}

describe.each(KINDS)('%s', (kind) => {
  test.each(WAYS)('%s: people chat by every transport, and miss nothing', async (way) => {
    await using balancer = await Balancer.start(
      kind,
      way,
      nodes.map(({ url }) => url),
    )
    const { alice, bob, chat, cursor } = await pair(balancer.url)
    using stream = await bob.stream(`after=${cursor}`)
    await stream.waitForFrame('heartbeat')
    const phone = await bob.anotherDevice()
    const hopping = hop(phone, cursor, 24)
    for (const text of upTo(24)) expect((await alice.send(chat, text)).status).toBe(201)
    // While the stream is open, and sooner than a node would look by itself: nobody holds it back.
    await until('the last one, live', () => stream.texts().length === 24, 1_500)
    expect(stream.texts()).toEqual(upTo(24))
    expect(stream.ended).toBe(false)
    expect(await hopping).toEqual(upTo(24))
    const path = `/v1/conversations/${chat}/messages`
    await until('the log of all sends', () => balancer.answerers(path).length === 24)
    const used = new Set(balancer.answerers(path)).size
    // The fewest connections may be those of any: of one node, or of all in turn.
    expect(used).toBe({ 'round robin': 3, hash: 1, 'least connections': used }[way])
  })

  test('tells the nodes who asks and how, whatever the client says', async () => {
    await using balancer = await Balancer.start(
      kind,
      'round robin',
      nodes.map(({ url }) => url),
    )
    const { headers } = await call(balancer.url, 'POST', '/v1/accounts', {
      body: { username: `cookie-${kind}-${Date.now()}`, password: 'correct horse', cookie: true },
      headers: { 'x-forwarded-proto': 'https', origin: balancer.url },
    })
    const cookie = headers.get('set-cookie') ?? ''
    expect(cookie).toContain('HttpOnly')
    expect(cookie).not.toContain('Secure')
    // Its Host, port and all, is what the browser's Origin is held against.
    const session = { cookie: cookie.split(';')[0] ?? '', 'content-type': 'text/plain' }
    const from = (origin: string) =>
      call(balancer.url, 'DELETE', '/v1/sessions/current', { headers: { ...session, origin } })
    expect((await from('http://elsewhere.example')).status).toBe(403)
    expect((await from(balancer.url)).status).toBe(204)
  })

  test('lets the largest body and the longest silence through', async () => {
    await using balancer = await Balancer.start(
      kind,
      'round robin',
      nodes.map(({ url }) => url),
    )
    const { alice, chat } = await pair(balancer.url)
    const texts = upTo(15).map((n) => n.padEnd(MAX_TEXT_LENGTH, 'x'))
    const messages = texts.map((text) => ({ conversation_id: chat, text, client_id: randomUUID() }))
    expect((await alice.call('POST', '/v1/messages', { messages })).status).toBe(200)
    // Not waited for: whoever waits a minute in a test waits for it in each.
    for (const limit of balancer.readLimits()) expect(limit).toBeGreaterThan(MAX_WAIT_SECONDS + 10)
  })

  test('P2 a send whose answer is missing is repeated on another node if it has a key, and only then', async () => {
    await using silent = await startSilentNode()
    const urls = [silent.url, ...nodes.slice(1).map(({ url }) => url)]
    await using balancer = await Balancer.start(kind, 'round robin', urls)
    const { alice, chat } = await pair(nodes[1]?.url ?? '')
    const sender = alice.at(balancer.url)
    const send = async (headers: Record<string, string>) => {
      const before = silent.swallowed
      const path = `/v1/conversations/${chat}/messages`
      const sent = sender.call('POST', path, { text: 'again?' }, headers)
      // A connection that ends without an answer, as HAProxy hands it on, is the number 0.
      const { status } = await sent.catch(() => ({ status: 0 }))
      return { status, wasSwallowed: silent.swallowed > before }
    }
    // Each is tried until one has met the node that swallows it; nginx leaves such a node alone for a while.
    const keyed = await until('a swallowed send with a key', async () => {
      const sent = await send({ 'idempotency-key': randomUUID() })
      return sent.wasSwallowed && sent
    })
    expect(keyed.status).toBe(201)
    const bare = await until('a swallowed send without a key', async () => {
      const sent = await send({})
      return sent.wasSwallowed && sent
    })
    expect([0, 502]).toContain(bare.status)
  })

  test('P9 a node that drains is left without a failed send or a lost event', async () => {
    await using leaving = await startNode()
    const urls = [leaving.url, ...nodes.slice(1).map(({ url }) => url)]
    await using balancer = await Balancer.start(kind, 'round robin', urls)
    const { alice, bob, chat, cursor } = await pair(balancer.url)
    using first = new Follower(bob, cursor, [balancer.url])
    using second = new Follower(bob, cursor, [balancer.url])
    using third = new Follower(bob, cursor, [balancer.url])
    const followers = [first, second, third]
    for (const follower of followers) await follower.waitForStream()
    // haproxy sees /readyz turn in time; nginx does not look, and may have to repeat.
    const sending = sendOn(alice, chat, { keyed: kind === 'nginx' })
    await sending.more(30)
    await leaving.drain()
    await sending.more(30)
    await sending.stop()
    expect(new Set(sending.answers.map(({ status }) => status))).toEqual(new Set([201]))
    for (const follower of followers) await expectAll(follower, sending.answers)
    expect(followers.flatMap(({ byes }) => byes)).toContain('draining')
  })

  test('P1 P3 a node that is killed costs its readers a reconnect, and senders with a key nothing', async () => {
    await using dying = new GatewayProcess({ DATABASE_URL: postgres.url, NATS_URL: nats.url() })
    const urls = [await dying.url(), ...nodes.slice(1).map(({ url }) => url)]
    await using balancer = await Balancer.start(kind, 'round robin', urls)
    const { alice, bob, chat, cursor } = await pair(balancer.url)
    using first = new Follower(bob, cursor, [balancer.url])
    using second = new Follower(bob, cursor, [balancer.url])
    using third = new Follower(bob, cursor, [balancer.url])
    const followers = [first, second, third]
    for (const follower of followers) await follower.waitForStream()
    const sending = sendOn(alice, chat, { keyed: true })
    await sending.more(30)
    await dying.kill()
    await sending.more(30)
    await sending.stop()
    for (const { status } of sending.answers) expect([200, 201]).toContain(status)
    for (const follower of followers) await expectAll(follower, sending.answers)
    expect(followers.some(({ comebacks }) => comebacks > 0)).toBe(true)
    for (const { longestGap } of followers) expect(longestGap).toBeLessThan(5_000)
  })
})
