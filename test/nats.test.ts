import { fileURLToPath } from 'node:url'
import { connect } from 'nats'
import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from 'nats-jwt'
import { createAccount, createOperator, createUser } from 'nkeys.js'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import type { Bus } from '../src/live/bus.ts'
import { NatsBus } from '../src/live/nats-bus.ts'
import { encodeEvent, type Hint } from '../src/protocol/event.ts'
import { startGateway } from './support/gateway.ts'
import { NatsServer } from './support/nats-server.ts'
import { call, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

const log = pino({ level: 'silent' })
const at = '2026-11-21T09:00:00.000Z'
const body = encodeEvent({ type: 'announcement', at, text: 'hello' })
const CERT = fileURLToPath(new URL('./support/localhost.crt', import.meta.url))
const KEY = fileURLToPath(new URL('./support/localhost.key', import.meta.url))

function natsConfig(env: Record<string, string>) {
  const { nats } = loadConfig(env)
  if (!nats) throw new Error('NATS_URL was not taken')
  return nats
}

/** What `listener` heard of `userId` until now. */
async function listen(bus: Bus, userId: string): Promise<Hint[]> {
  const heard: Hint[] = []
  await bus.subscribe(userId, { hint: (hint) => heard.push(hint), pass() {} })
  return heard
}

function announce(bus: Bus, userId: string, id: number): void {
  bus.announce({ recipients: [userId], ids: [id], database_epoch: 'e1', body }, 1)
}

describe('the bus of many nodes', () => {
  test('carries an event to the nodes that read this inbox, whatever the user id', async () => {
    await using server = await NatsServer.start()
    await using one = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    await using other = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    const ids = [
      'plain-1',
      'a.b',
      'a',
      'a b',
      '*',
      '>',
      'ünï/çødé',
      'A%2E',
      'a%2Eb',
      '"quoted"',
      'x'.repeat(128),
    ]
    const heard = await Promise.all(ids.map((id) => listen(other, id)))
    const here = await listen(one, 'a.b')
    for (const [index, id] of ids.entries()) announce(one, id, index + 1)
    await until('all hints', () => heard.every((hints) => hints.length > 0))
    expect(heard).toEqual(ids.map((_, index) => [{ id: index + 1, database_epoch: 'e1', body }]))
    expect(here).toEqual([{ id: 2, database_epoch: 'e1', body }])
  })

  test('a subscription is in force when it resolves', async () => {
    await using server = await NatsServer.start()
    await using one = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    await using other = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    for (let n = 0; n < 50; n += 1) {
      const heard = await listen(other, `user-${n}`)
      announce(one, `user-${n}`, 1)
      await until('the hint', () => heard.length === 1)
    }
  })

  test('serves without a server, notices one that is silent, and goes on when it is back', async () => {
    await using server = await NatsServer.start()
    await using one = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    await using other = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    const heard = await listen(other, 'u')
    for (const [n, end] of (['SIGSTOP', 'kill'] as const).entries()) {
      if (end === 'kill') await server.kill()
      else server.signal(end)
      await until('both to notice', () => !one.isUp && !other.isUp)
      const late = await listen(other, `late-${n}`)
      announce(one, 'u', 0)
      if (end === 'kill') await server.restart()
      else server.signal('SIGCONT')
      await until('both to be back', () => one.isUp && other.isUp)
      announce(one, 'u', n + 1)
      announce(one, `late-${n}`, 1)
      await until('hints to arrive', () => heard.some(({ id }) => id === n + 1) && late.length === 1)
    }
  })

  test('starts without a server too, and finds it later', async () => {
    const server = await NatsServer.start()
    await server.kill()
    await using bus = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    const heard = await listen(bus, 'u')
    expect(bus.isUp).toBe(false)
    await server.restart()
    await until('the server', () => bus.isUp)
    await using other = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    announce(other, 'u', 1)
    await until('the hint', () => heard.length === 1)
    await server[Symbol.asyncDispose]()
  })

  test('goes to another server when its own is gone', async () => {
    await using first = await NatsServer.start()
    await using second = await NatsServer.start()
    await using bus = await NatsBus.open(natsConfig({ NATS_URL: `${first.url()},${second.url()}` }), log)
    await first.kill()
    await until('the second server', () => bus.isUp)
    await first.restart()
    await second.kill()
    await until('the first server', () => bus.isUp)
  })

  test('goes to a server that was not there when it started', async () => {
    await using first = await NatsServer.start()
    await using second = await NatsServer.start()
    await second.kill()
    // Each chooses at random which one it tries first.
    await using buses = new AsyncDisposableStack()
    const all: Bus[] = []
    for (let n = 0; n < 6; n += 1) {
      const config = natsConfig({ NATS_URL: `${first.url()},${second.url()}` })
      all.push(buses.use(await NatsBus.open(config, log)))
    }
    await first.kill()
    await second.restart()
    await until('the second server', () => all.every((bus) => bus.isUp))
  })

  test('what has many recipients for each node goes to all nodes in one piece', async () => {
    await using server = await NatsServer.start()
    await using one = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    await using other = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    const recipients = Array.from({ length: 40 }, (_, n) => `ü ${n}`)
    const ids = recipients.map((_, n) => n + 1)
    const [fifth, here] = await Promise.all([listen(other, 'ü 4'), listen(one, 'ü 4')])
    const stranger = await listen(other, 'somebody else')
    const observer = await connect({ servers: server.url() })
    const subjects: string[] = []
    observer.subscribe('>', { callback: (_, { subject }) => subjects.push(subject) })
    await observer.flush()
    const long = encodeEvent({ type: 'announcement', at, text: 'x'.repeat(9_000) })
    one.announce({ recipients, ids, database_epoch: 'e1', body }, 1)
    one.announce({ recipients, ids, database_epoch: 'e1', body: long }, 1)
    one.announce({ recipients, ids, database_epoch: 'e1', body }, 9)
    await until('all three', () => fifth.length === 3)
    const hint = { id: 5, database_epoch: 'e1' }
    expect(fifth).toEqual([{ ...hint, body }, hint, { ...hint, body }])
    expect(here.map(({ id }) => id)).toEqual([5, 5, 5])
    expect(stranger).toEqual([])
    await until('the subjects', () => subjects.length === 42)
    expect(new Set(subjects.slice(0, 2))).toEqual(new Set(['longwave.hints']))
    await observer.close()
  })

  test('what is more than a server takes in one piece goes as a hint each', async () => {
    await using server = await NatsServer.start('max_payload: 4096')
    await using one = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    await using other = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    const recipients = Array.from({ length: 100 }, (_, n) => `${n}-${'x'.repeat(40)}`)
    const heard = await listen(other, recipients[99] ?? '')
    one.announce({ recipients, ids: recipients.map((_, n) => n), database_epoch: 'e1', body }, 1)
    await until('the hint', () => heard.length > 0)
    expect(heard).toEqual([{ id: 99, database_epoch: 'e1', body }])
    // And what passes is lost, rather than in the way of whoever tells it.
    expect(() => one.broadcast('topic', 'x'.repeat(5_000))).not.toThrow()
  })

  test('goes to another server, and keeps nothing in memory, when its own takes nothing any more', async () => {
    await using first = await NatsServer.start()
    await using second = await NatsServer.start()
    await second.kill()
    await using bus = await NatsBus.open(natsConfig({ NATS_URL: `${first.url()},${second.url()}` }), log)
    const recipients = Array.from({ length: 100 }, (_, n) => `u${n}`)
    const ids = recipients.map(() => 1)
    const long = encodeEvent({
      type: 'announcement',
      at,
      text: 'x'.repeat(4_000),
    })
    const announceMuch = () => {
      for (let n = 0; n < 50; n += 1) bus.announce({ recipients, ids, database_epoch: 'e1', body: long }, 99)
    }
    first.signal('SIGSTOP')
    announceMuch()
    await until('silence', () => !bus.isUp)
    const before = process.memoryUsage().arrayBuffers
    announceMuch()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
    await second.restart()
    await until('the second server', () => bus.isUp, 25_000)
  })

  test('ends at once, also while it is connecting', async () => {
    await using server = await NatsServer.start()
    server.signal('SIGSTOP')
    const bus = await NatsBus.open(natsConfig({ NATS_URL: server.url() }), log)
    const began = performance.now()
    await bus[Symbol.asyncDispose]()
    expect(performance.now() - began).toBeLessThan(500)
  })
})

describe('NATS asks who is there', () => {
  const settings = {
    user: 'authorization { user: chat, password: "s3cret/%" }',
    token: 'authorization { token: "t0k/en" }',
    tls: `tls { cert_file: "${CERT}", key_file: "${KEY}" }`,
  }

  test.each([
    ['user and password', settings.user, 'chat:s3cret%2F%25', {}],
    ['a token', settings.token, 't0k%2Fen', {}],
    ['TLS', settings.tls, undefined, { NATS_CA: CERT }],
  ])('%s', async (_, conf, login, env) => {
    await using server = await NatsServer.start(conf)
    const url = server.url(login).replace('127.0.0.1', 'localhost')
    await using bus = await NatsBus.open(natsConfig({ NATS_URL: url, ...env }), log)
    expect(bus.isUp).toBe(true)
  })

  test('a credentials file', async () => {
    const [operator, account, user] = [createOperator(), createAccount(), createUser()]
    const limits = {
      subs: -1,
      conn: -1,
      leaf: -1,
      imports: -1,
      exports: -1,
      data: -1,
      payload: -1,
      wildcards: true,
    }
    const operatorJwt = await encodeOperator('O', operator)
    const accountJwt = await encodeAccount('A', account, { limits }, { signer: operator })
    const userJwt = await encodeUser('U', user, account, {})
    const conf = `operator: ${operatorJwt}\nresolver: MEMORY\nresolver_preload: { ${account.getPublicKey()}: "${accountJwt}" }`
    await using server = await NatsServer.start(conf)
    const creds = Buffer.from(fmtCreds(userJwt, user)).toString()
    await using bus = await NatsBus.open({ ...natsConfig({ NATS_URL: server.url() }), creds }, log)
    expect(bus.isUp).toBe(true)
  })

  test.each([
    ['wrong password', settings.user, 'chat:wrong'],
    ['no password', settings.user, undefined],
    ['wrong token', settings.token, 'wrong'],
  ])('%s: the start says so', async (_, conf, login) => {
    await using server = await NatsServer.start(conf)
    await expect(NatsBus.open(natsConfig({ NATS_URL: server.url(login) }), log)).rejects.toThrow(/NATS_URL/)
  })

  test.each(['localhost:4222', 'http://localhost', 'nats://', 'nats://a:4222,ftp://b', ','])(
    'NATS_URL %s is refused in words',
    (url) => {
      expect(() => loadConfig({ NATS_URL: url })).toThrow(/NATS_URL must be addresses such as nats:/)
    },
  )
})

describe('nodes over NATS', () => {
  let postgres: TestPostgres
  let nats: NatsServer
  let one: Gateway
  let other: Gateway

  beforeAll(async () => {
    postgres = await startPostgres()
    nats = await NatsServer.start()
    const config = { nats: natsConfig({ NATS_URL: nats.url() }) }
    one = await startGateway(postgres.url, config)
    other = await startGateway(postgres.url, config)
  })

  afterAll(async () => {
    await other?.[Symbol.asyncDispose]()
    await one?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await postgres?.[Symbol.asyncDispose]()
  })

  /** Alice writes on one node, Bob reads on the other. */
  async function pair() {
    const alice = await Person.signUp(one.url)
    const bob = await Person.signUp(other.url)
    const chat = await alice.direct(bob)
    const stream = await bob.stream('after=0')
    await stream.waitForFrame('heartbeat')
    return { alice, bob, chat, stream, [Symbol.dispose]: () => stream[Symbol.dispose]() }
  }

  test('what one commits the other delivers by its hint: the payload is the event with its id', async () => {
    using world = await pair()
    const { alice, bob, chat, stream } = world
    const observer = await connect({ servers: nats.url() })
    const seen: { id: number; message?: { text: string } }[] = []
    observer.subscribe(`inbox.${bob.id}`, {
      callback: (_, { data }) => seen.push(JSON.parse(Buffer.from(data).toString())),
    })
    await observer.flush()
    await alice.send(chat, 'hello')
    await stream.waitForTexts(1)
    await until('the hint', () => seen.length > 0)
    expect(seen[0]).toMatchObject({ id: stream.events.at(-1)?.id, message: { text: 'hello' } })
    await observer.close()
  })

  test('a text too long to carry is read from the log at once', async () => {
    using world = await pair()
    const { alice, chat, stream } = world
    await alice.send(chat, 'x'.repeat(50_000))
    await alice.send(chat, 'next')
    const texts = await stream.waitForTexts(2)
    expect(texts.map((text) => text.length)).toEqual([8_192, 4])
  })

  test('P7 without NATS delivery goes on, nothing is lost; /readyz says so, unless it is left out', async () => {
    using world = await pair()
    const { alice, chat, stream } = world
    await nats.kill()
    for (let n = 0; n < 3; n += 1) await alice.send(chat, String(n))
    expect(await stream.waitForTexts(3)).toEqual(['0', '1', '2'])
    const readiness = await until('/readyz to turn', async () => {
      const answer = await call(one.url, 'GET', '/readyz')
      return answer.status === 503 && answer
    })
    expect(readiness.body).toMatchObject({ checks: { nats: 'failed', postgres: 'ok' } })
    expect((await call(one.url, 'GET', '/readyz?exclude=nats')).status).toBe(200)
    await nats.restart()
    await until('/readyz', async () => (await call(one.url, 'GET', '/readyz')).status === 200)
    await until('/readyz', async () => (await call(other.url, 'GET', '/readyz')).status === 200)
    await alice.send(chat, 'after')
    expect(await stream.waitForTexts(4)).toEqual(['0', '1', '2', 'after'])
  })

  test('P6 a sign-out and a removal reach the other node, also without NATS', async () => {
    using world = await pair()
    const { alice, bob, stream } = world
    await nats.kill()
    const group = await alice.group([bob])
    await until('the group', () => stream.events.some(({ type }) => type === 'conversation.created'))
    expect((await alice.call('DELETE', `/v1/conversations/${group}/members/${bob.id}`)).status).toBe(204)
    const removedAt = performance.now()
    await until('the removal', () => stream.events.at(-1)?.type === 'member.removed')
    expect(performance.now() - removedAt).toBeLessThan(5_000)
    await bob.at(one.url).call('DELETE', '/v1/sessions/current')
    const signedOutAt = performance.now()
    await stream.waitForEnd()
    expect(performance.now() - signedOutAt).toBeLessThan(5_000)
    expect(JSON.parse(stream.named('bye')[0]?.data ?? '')).toMatchObject({ reason: 'signed_out' })
    await nats.restart()
  })

  test('GET /v1/gateway lists the nodes that live, least loaded first', async () => {
    const endpoints = async (at: Gateway) => {
      const { body: answer } = await call<{ endpoints: string[] }>(at.url, 'GET', '/v1/gateway')
      return answer.endpoints
    }
    using world = await pair()
    expect(world.stream.ended).toBe(false)
    // Bob's stream is on the other one.
    await until('both, in order', async () => String(await endpoints(other)) === String([one.url, other.url]))
    await until('both, in order', async () => String(await endpoints(one)) === String([one.url, other.url]))
    const foreign = await connect({ servers: nats.url() })
    for (const [n, state] of [
      { deployment: 'x', endpoint: 'https://foreign.example.org', load: 0 },
      {},
    ].entries()) {
      foreign.publish('longwave.nodes', JSON.stringify({ node: `foreign-${n}`, ...state }))
    }
    await foreign.flush()
    await foreign.close()
    const third = await startGateway(postgres.url, {
      nats: natsConfig({ NATS_URL: nats.url() }),
      publicUrl: 'https://chat.example.org',
    })
    await until('the third', async () => (await endpoints(one)).includes('https://chat.example.org'))
    await until('all three', async () => (await endpoints(third)).length === 3)
    // Another deployment over the same NATS servers spoke before the third did.
    expect(await endpoints(one)).toHaveLength(3)
    await third[Symbol.asyncDispose]()
    await until('the third to be gone', async () => (await endpoints(one)).length === 2)
  })
})
