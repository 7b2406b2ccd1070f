import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startGateway } from './support/gateway.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { HeldTransaction } from './support/held-transaction.ts'
import { call, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

const DYING = fileURLToPath(new URL('./support/dying-gateway.ts', import.meta.url))

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startPostgres()
})

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]()
})

describe('P1 and P2 a gateway that is killed', () => {
  test('between COMMIT and announcement: the repeated send is the same message, delivered once', async () => {
    await using steady = new GatewayProcess({ DATABASE_URL: postgres.url })
    const base = await steady.url()
    const alice = await Person.signUp(base)
    const bob = await Person.signUp(base)
    const chat = await alice.direct(bob)
    const { cursor } = await bob.readAll()
    using stream = await bob.stream(`after=${cursor}`)

    await using dying = new GatewayProcess({ DATABASE_URL: postgres.url }, DYING)
    await expect(alice.at(await dying.url()).send(chat, 'committed, never told', 'k')).rejects.toThrow()
    expect((await dying.exited).signal).toBe('SIGKILL')

    const again = await alice.send(chat, 'committed, never told', 'k')
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
    expect(await stream.waitForTexts(1)).toEqual(['committed, never told'])
    await alice.send(chat, 'next')
    expect(await stream.waitForTexts(2)).toEqual(['committed, never told', 'next'])
    expect((await bob.readAll(cursor)).events).toHaveLength(2)
  })

  test('under load: every answered send is there once, and readers go on from their cursors', async () => {
    let node = new GatewayProcess({ DATABASE_URL: postgres.url })
    let base = await node.url()
    const alice = await Person.signUp(base)
    const bob = await Person.signUp(base)
    const chat = await alice.direct(bob)
    let { cursor } = await bob.readAll()
    const got: string[] = []
    const total = 300
    /** Repeats with the same key until it is answered, as a client would. */
    const sendUntilAnswered = (n: number) =>
      until(`an answer to ${n}`, async () => {
        const answer = await alice
          .at(base)
          .send(chat, String(n), `key-${n}`)
          .catch(() => undefined)
        return answer !== undefined && answer.status < 300
      })
    const sending = (async () => {
      for (let n = 0; n < total; n += 10) {
        await Promise.all(Array.from({ length: 10 }, (_, k) => sendUntilAnswered(n + k)))
      }
    })()
    for (let kills = 0; kills < 3; kills += 1) {
      using stream = await bob.at(base).stream('after=0', { 'last-event-id': cursor })
      await until('some progress', () => stream.events.length > 20)
      await node.kill()
      await stream.waitForEnd()
      got.push(...stream.texts())
      cursor = stream.lastEventId
      node = new GatewayProcess({ DATABASE_URL: postgres.url })
      base = await node.url()
    }
    await sending
    got.push(...(await bob.at(base).readAll(cursor)).events.map((event) => event.message?.text ?? ''))
    await node.kill()
    expect(got).toHaveLength(total)
    expect(new Set(got).size).toBe(total)
  })
})

describe('P7 without Postgres', () => {
  test.each(['cut', 'hang'] as const)(
    '(%s) sends get 503 at once, streams stay, all recovers by itself',
    async (fault) => {
      await using proxy = await TcpProxy.before(postgres.url)
      await using gateway = await startGateway(proxy.through(postgres.url))
      const alice = await Person.signUp(gateway.url)
      const bob = await Person.signUp(gateway.url)
      const chat = await alice.direct(bob)
      using stream = await bob.stream('heartbeat=5')
      await stream.waitForFrame('heartbeat')
      await alice.send(chat, 'before')

      proxy[fault]()
      const refused = await until('a refusal', async () => {
        const answer = await alice.send(chat, 'lost?', 'the-key')
        return answer.status === 503 && answer
      })
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(refused.body).toMatchObject({ code: 'unavailable', status: 503 })
      await until('refusals to be quick', async () => {
        const began = performance.now()
        const { status } = await alice.send(chat, 'lost?', 'the-key')
        return status === 503 && performance.now() - began < 500
      })
      expect((await call(gateway.url, 'GET', '/healthz')).status).toBe(200)
      expect((await call(gateway.url, 'GET', '/readyz')).status).toBe(503)
      const refusedStream = await bob.stream('after=0')
      expect(JSON.parse((await refusedStream.waitForFrame('bye')).data)).toMatchObject({
        reason: 'unavailable',
      })
      await refusedStream.waitForEnd()
      const beats = stream.named('heartbeat').length
      await until('the open stream to go on', () => stream.named('heartbeat').length > beats)

      proxy.restore()
      const sent = await until('a send that goes through', async () => {
        const answer = await alice.send(chat, 'lost?', 'the-key')
        return answer.status < 300 && answer
      })
      expect(sent.body.text).toBe('lost?')
      expect(await stream.waitForTexts(2)).toEqual(['before', 'lost?'])
      expect((await call(gateway.url, 'GET', '/readyz')).status).toBe(200)
    },
  )
})

test('P7 two hundred transactions that wait for slow ones: told so or done, and then all is as before', async () => {
  await using gateway = await startGateway(postgres.url)
  const alice = await Person.signUp(gateway.url)
  const bob = await Person.signUp(gateway.url)
  const chat = await alice.direct(bob)
  using stream = await bob.stream('after=0')
  await stream.waitForFrame('heartbeat')
  const slow = new HeldTransaction(postgres.url, (tx) => tx`LOCK TABLE conversations IN EXCLUSIVE MODE`)
  await slow.held
  const groups = Array.from({ length: 200 }, (_, n) =>
    alice.call('POST', '/v1/conversations', { kind: 'group', members: [bob.id], title: String(n) }),
  )
  const refused = await alice.send(chat, 'meanwhile', 'the-key')
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^\d+$/)])
  const answers = await Promise.all(groups)
  await slow.commit()
  for (const { status, headers } of answers) {
    expect([201, 503]).toContain(status)
    if (status === 503) expect(headers.get('retry-after')).toMatch(/^\d+$/)
  }
  await until(
    'a send to go through',
    async () => (await alice.send(chat, 'meanwhile', 'the-key')).status < 300,
  )
  expect(await stream.waitForTexts(1)).toEqual(['meanwhile'])
  expect(stream.ended).toBe(false)
  expect(await alice.group([bob])).toMatch(/^[0-9a-f-]{36}$/)
})

describe('P9 a gateway that drains', () => {
  test('turns /readyz, goes on accepting, ends polls and streams kindly, and is gone in time', async () => {
    await using node = new GatewayProcess({ DATABASE_URL: postgres.url })
    const base = await node.url()
    const alice = await Person.signUp(base)
    const bob = await Person.signUp(base)
    const chat = await alice.direct(bob)
    const { cursor } = await bob.readAll()
    using stream = await bob.stream(`after=${cursor}`)
    await stream.waitForFrame('heartbeat')
    const parked = alice.poll('wait=50')
    const began = performance.now()
    node.child.kill('SIGTERM')
    const unready = await until('/readyz to turn', async () => {
      const answer = await call(base, 'GET', '/readyz')
      return answer.status === 503 && answer
    })
    expect(unready.headers.get('connection')).toBe('close')
    expect((await alice.send(chat, 'while draining')).status).toBe(201)
    expect(await stream.waitForTexts(1)).toEqual(['while draining'])
    // Alice's own message ends her poll; what counts is that it was answered.
    expect((await parked).status).toBe(200)
    const bye = JSON.parse((await stream.waitForFrame('bye')).data)
    expect(bye).toEqual({ reason: 'draining', retry_ms: expect.any(Number) })
    expect((await node.exited).code).toBe(0)
    expect(performance.now() - began).toBeLessThan(10_000)
  })
})

test('P7 a session cookie that cannot be looked up is 503, not silence', { timeout: 30_000 }, async () => {
  await using proxy = await TcpProxy.before(postgres.url)
  await using gateway = await startGateway(proxy.through(postgres.url))
  proxy.hang()
  const headers = { cookie: `longwave_session=${'x'.repeat(43)}` }
  const answer = await fetch(`${gateway.url}/v1/users/me`, { headers, signal: AbortSignal.timeout(15_000) })
  expect(answer.status).toBe(503)
  proxy.restore()
})

test('P7 connections that die without a word are given up, each kind, and new ones take their place', async () => {
  await using proxy = await TcpProxy.before(postgres.url)
  await using gateway = await startGateway(proxy.through(postgres.url))
  const alice = await Person.signUp(gateway.url)
  const bob = await Person.signUp(gateway.url)
  const chat = await alice.direct(bob)
  using stream = await bob.stream('after=0')
  await alice.send(chat, 'before')
  await stream.waitForTexts(1)
  // From here on nothing passes on what is there, and nobody is told; as when the old primary's machine is gone.
  proxy.hangSome(() => true)
  const uses = {
    send: () => alice.send(chat, 'after', 'the-key'),
    list: () => alice.call('GET', '/v1/conversations'),
    create: () => alice.call('POST', '/v1/conversations', { kind: 'group', members: [bob.id] }),
    read: () => bob.poll('wait=0&after=0'),
  }
  for (const [what, use] of Object.entries(uses)) {
    await until(`${what} to work`, async () => (await use()).status < 300, 25_000)
  }
  expect(await stream.waitForTexts(2)).toEqual(['before', 'after'])
  expect(stream.ended).toBe(false)
})
