import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import { Database } from '../src/store/database.ts'
import { Follower } from './support/follower.ts'
import { startGateway } from './support/gateway.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { NatsServer } from './support/nats-server.ts'
import { Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'
import { Watcher } from './support/watching.ts'
import { startTwoWorkers, streamElsewhere } from './support/workers.ts'

/** Instead of 40 s: all else that takes time is a part of it. */
const LEASE_MS = 2_000
/** A lease and what finding out takes, in the proportions of 60 s to 40. */
const GONE_WITHIN_MS = LEASE_MS * 1.5

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startPostgres()
})

afterAll(() => postgres?.[Symbol.asyncDispose]())

async function startShort(config: Parameters<typeof startGateway>[1] = {}): Promise<Gateway> {
  const node = await startGateway(postgres.url, config, { leaseMs: LEASE_MS })
  onTestFinished(() => node[Symbol.asyncDispose]())
  return node
}

async function startNats() {
  const nats = await NatsServer.start()
  onTestFinished(() => nats[Symbol.asyncDispose]())
  return { nats, url: nats.url(), config: { nats: loadConfig({ NATS_URL: nats.url() }).nats } }
}

/** Resolves when `watched` was there for so long, as those who ask see it. */
async function stays(watcher: Watcher, ms: number): Promise<void> {
  const since = await watcher.lastActive()
  await until('a longer presence', async () => (await watcher.lastActive()) - since > ms, ms * 3)
}

describe('coming', () => {
  test('is told within a second, once; and asked for it is so at once', async () => {
    const gateway = await startShort()
    const bob = await Person.signUp(gateway.url)
    using alice = await Watcher.of(bob, gateway.url)
    expect(await alice.ask()).toEqual({ user_id: bob.id, status: 'offline', last_active_at: null })
    const began = performance.now()
    using _ = await bob.stream()
    const [event] = await alice.waitForChanges(1)
    expect(performance.now() - began).toBeLessThan(1_000)
    expect(event).toEqual({
      ...{ id: null, type: 'presence.changed', at: event?.at, user_id: bob.id },
      ...{ status: 'online', last_active_at: event?.last_active_at },
    })
    expect(await alice.ask()).toMatchObject({ status: 'online' })
    using __ = await bob.stream()
    await bob.poll()
    await bob.send(await bob.direct(alice.person), 'marker')
    await until('the marker', () => alice.texts.length > 0)
    expect(alice.statuses).toEqual(['online'])
  })

  test('is told within a second on the other node, both ways, over NATS', async () => {
    const { config } = await startNats()
    const [one, other] = [await startShort(config), await startShort(config)]
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      const bob = await Person.signUp(here.url)
      using alice = await Watcher.of(bob, there.url)
      const began = performance.now()
      using _ = await bob.stream()
      await alice.waitForChanges(1)
      expect(performance.now() - began).toBeLessThan(1_000)
      await stays(alice, LEASE_MS)
      expect(alice.statuses).toEqual(['online'])
    }
  })

  test('is told within a second on the other worker', async () => {
    const { url } = await startTwoWorkers({ DATABASE_URL: postgres.url })
    const [alice, bob] = [await Person.signUp(url), await Person.signUp(url)]
    const chat = await alice.direct(bob)
    const here = await streamElsewhere(alice)
    using hers = here.stream
    await bob.send(chat, 'so that her stream is known to be live')
    await hers.waitForTexts(1)
    const began = performance.now()
    const there = await streamElsewhere(bob, here.node)
    using _ = there.stream
    const changed = await until('the change', () => hers.passing('presence.changed')[0])
    expect(performance.now() - began).toBeLessThan(1_500)
    expect(changed).toMatchObject({ user_id: bob.id, status: 'online' })
  })

  test('without NATS is told too, later, and going as well', { timeout: 40_000 }, async () => {
    const [one, other] = [await startShort(), await startShort()]
    const bob = await Person.signUp(one.url)
    using alice = await Watcher.of(bob, other.url)
    const stream = await bob.stream()
    await alice.waitForChanges(1)
    stream[Symbol.dispose]()
    await alice.waitForChanges(2)
    expect(alice.statuses).toEqual(['online', 'offline'])
  })

  test('P6 strangers and the members of large groups are told nothing; who shares a group may ask', async () => {
    const gateway = await startShort()
    const [bob, carol] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    using stranger = await Watcher.of(carol, gateway.url)
    const large = await carol.group([bob])
    await using database = new Database({ url: postgres.url })
    await database.sql`UPDATE conversations SET members_count = 101 WHERE id = ${large}`
    using carols = await carol.stream()
    await carols.waitForFrame('heartbeat')
    using witness = await Watcher.of(bob, gateway.url)
    using _ = await bob.stream()
    await witness.waitForChanges(1)
    await stranger.person.send(await stranger.person.direct(carol), 'marker')
    await until('the marker', () => stranger.texts.length > 0 && carols.texts().length > 0)
    const ask = async (person: Person) =>
      (await person.call<{ presence: object[] }>('GET', `/v1/presence?user_ids=${bob.id},nobody`)).body
        .presence
    expect(await ask(stranger.person)).toEqual([])
    expect(await ask(carol)).toMatchObject([{ user_id: bob.id, status: 'online' }])
    expect(carols.passing().filter(({ user_id }) => user_id === bob.id)).toEqual([])
    expect(stranger.others(bob.id)).toEqual([])
  })

  test('more people than can be asked for at once are refused in words', async () => {
    const gateway = await startShort()
    const bob = await Person.signUp(gateway.url)
    const ids = Array.from({ length: 101 }, (_, n) => `user-${n}`).join(',')
    const answer = await bob.call('GET', `/v1/presence?user_ids=${ids}`)
    expect(answer.status).toBe(422)
    expect(answer.body).toMatchObject({ code: 'validation_failed', detail: expect.stringContaining('100') })
  })

  test('PRESENCE=off: nobody is told and nobody can ask', async () => {
    const off = await startShort({ presence: false })
    const [alice, bob] = [await Person.signUp(off.url), await Person.signUp(off.url)]
    await alice.direct(bob)
    expect((await alice.call('GET', `/v1/presence?user_ids=${bob.id}`)).body).toMatchObject({
      code: 'presence_off',
    })
  })
})

describe('going', () => {
  test('is told a lease after the last stream has ended, once, with the time of that', async () => {
    const node = await startShort()
    const bob = await Person.signUp(node.url)
    using alice = await Watcher.of(bob, node.url)
    const stream = await bob.stream()
    await alice.waitForChanges(1)
    await stays(alice, LEASE_MS)
    stream[Symbol.dispose]()
    const endedAt = performance.now()
    const [, event] = await alice.waitForChanges(2)
    expect(performance.now() - endedAt).toBeGreaterThan(LEASE_MS * 0.9)
    expect(performance.now() - endedAt).toBeLessThan(GONE_WITHIN_MS)
    expect(event).toMatchObject({ status: 'offline' })
    expect(Date.parse(event?.at ?? '') - Date.parse(String(event?.last_active_at))).toBeGreaterThan(
      LEASE_MS * 0.9,
    )
    expect(await alice.ask()).toEqual({
      ...{ user_id: bob.id, status: 'offline' },
      last_active_at: event?.last_active_at,
    })
  })

  test('of a node that was killed is told by another, once', { timeout: 40_000 }, async () => {
    const { url, config } = await startNats()
    const others = [await startShort(config), await startShort(config)]
    const script = fileURLToPath(new URL('./support/short-lease-gateway.ts', import.meta.url))
    const env = { DATABASE_URL: postgres.url, NATS_URL: url, LEASE_MS: String(LEASE_MS) }
    await using dying = new GatewayProcess(env, script)
    const bob = await Person.signUp(await dying.url())
    using alice = await Watcher.of(bob, others[0]?.url ?? '')
    using carol = await Watcher.of(bob, others[1]?.url ?? '')
    using _ = await bob.stream()
    await alice.waitForChanges(1)
    await stays(alice, LEASE_MS)
    await dying.kill()
    const killedAt = performance.now()
    for (const watcher of [alice, carol]) {
      await watcher.waitForChanges(2)
      expect(performance.now() - killedAt).toBeLessThan(GONE_WITHIN_MS)
    }
    // Time enough for whoever would tell it again.
    await until('the time', () => performance.now() - killedAt > 6_000)
    for (const { statuses } of [alice, carol]) expect(statuses).toEqual(['online', 'offline'])
  })

  test('and coming back at once is told after a pause, and what is told last is true', async () => {
    const node = await startShort()
    const bob = await Person.signUp(node.url)
    using alice = await Watcher.of(bob, node.url)
    await bob.poll()
    await alice.waitForChanges(2)
    using _ = await bob.stream()
    const changes = await alice.waitForChanges(3)
    expect(alice.statuses).toEqual(['online', 'offline', 'online'])
    const [, off = 0, on = 0] = changes.map(({ at }) => Date.parse(at))
    expect(on - off).toBeGreaterThanOrEqual(LEASE_MS / 8)
    expect(await alice.ask()).toMatchObject({ status: 'online' })
  })
})

describe('staying is not told', () => {
  test('while a device hops between nodes and ways of reading', { timeout: 40_000 }, async () => {
    const { config } = await startNats()
    const nodes = [await startShort(config), await startShort(config)]
    const bob = await Person.signUp(nodes[0]?.url ?? '')
    using alice = await Watcher.of(bob, nodes[1]?.url ?? '')
    const since = performance.now()
    for (let n = 0; performance.now() - since < LEASE_MS * 3; n += 1) {
      const there = bob.at(nodes[n % 2]?.url ?? '')
      if (n % 4 < 2) {
        using stream = await there.stream()
        await stream.waitForFrame('heartbeat')
      } else await there.poll('wait=1')
      await pause(LEASE_MS * 0.3)
    }
    expect(alice.statuses).toEqual(['online'])
  })

  test('while a poller pauses between polls', { timeout: 40_000 }, async () => {
    const node = await startShort()
    const bob = await Person.signUp(node.url)
    using alice = await Watcher.of(bob, node.url)
    for (let n = 0; n < 5; n += 1) {
      await bob.poll('wait=0')
      await pause(LEASE_MS * 0.8)
    }
    expect(alice.statuses).toEqual(['online'])
  })

  test('while nodes drain one after the other', { timeout: 60_000 }, async () => {
    const { config } = await startNats()
    const [first, second] = [await startShort(config), await startShort(config)]
    const bob = await Person.signUp(second.url)
    using alice = await Watcher.of(bob, second.url)
    using follower = new Follower(bob, '', [first.url, second.url])
    await follower.waitForStream()
    await stays(alice, LEASE_MS)
    await first.drain()
    await until('his return', () => follower.comebacks > 0)
    await stays(alice, LEASE_MS * 2)
    expect(follower.byes).toContain('draining')
    expect(alice.statuses).toEqual(['online'])
  })
})

test('a node that ends says last who was there until then', async () => {
  const [ending, other] = [await startShort(), await startShort()]
  const bob = await Person.signUp(ending.url)
  using alice = await Watcher.of(bob, other.url)
  using _ = await bob.stream()
  const first = await until('him', () => alice.lastActive())
  const renewed = await until('him again', async () => {
    const last = await alice.lastActive()
    return last > first && last
  })
  // Far from both times at which he is written down anyway.
  await pause(LEASE_MS * 0.3)
  await ending[Symbol.asyncDispose]()
  expect((await alice.lastActive()) - renewed).toBeGreaterThan(LEASE_MS * 0.2)
})

describe('leases', () => {
  async function readingAndRenewing() {
    const node = await startShort()
    const bob = await Person.signUp(node.url)
    const alice = await Watcher.of(bob, node.url)
    const stream = await bob.stream()
    const { id: cursor = '' } = await stream.waitForFrame('hello')
    const renew = (active?: boolean) => bob.call('PUT', '/v1/devices/current/cursor', { cursor, active })
    const dispose = () => {
      alice[Symbol.dispose]()
      stream[Symbol.dispose]()
    }
    return { node, bob, alice, stream, renew, [Symbol.dispose]: dispose }
  }

  test('a device that renews goes by its word: a stream that a proxy holds open is nobody', async () => {
    using world = await readingAndRenewing()
    const { alice, renew, stream } = world
    for (let n = 0; n < 5; n += 1) {
      expect((await renew()).status).toBe(204)
      await pause(LEASE_MS * 0.4)
    }
    expect(alice.statuses).toEqual(['online'])
    const renewedAt = performance.now()
    await alice.waitForChanges(2)
    expect(performance.now() - renewedAt).toBeLessThan(GONE_WITHIN_MS)
    expect(stream.ended).toBe(false)
    await renew()
    await alice.waitForChanges(3)
    expect(alice.statuses).toEqual(['online', 'offline', 'online'])
  })

  test('last_active_at stays while nobody is looking, and outlives all nodes', async () => {
    using world = await readingAndRenewing()
    const { alice, renew, node, stream } = world
    await alice.waitForChanges(1)
    await renew(true)
    const active = await until('it to be written', () => alice.lastActive())
    const since = performance.now()
    while (performance.now() - since < LEASE_MS * 2) {
      await renew(false)
      await pause(LEASE_MS * 0.3)
    }
    expect((await alice.lastActive()) - active).toBeLessThan(LEASE_MS / 2)
    expect(await alice.ask()).toMatchObject({ status: 'online' })
    await renew(true)
    const last = await until('it to move', async () => {
      const now = await alice.lastActive()
      return now - active > LEASE_MS && now
    })
    stream[Symbol.dispose]()
    await node[Symbol.asyncDispose]()
    const next = await startShort()
    await until('his lease to end', async () => (await alice.ask(next.url))?.status === 'offline')
    expect(Date.parse((await alice.ask(next.url))?.last_active_at ?? '') - last).toBeLessThan(LEASE_MS)
  })

  test('two devices of one person: one is enough', async () => {
    using world = await readingAndRenewing()
    const { bob, alice, stream } = world
    await alice.waitForChanges(1)
    const tablet = await bob.anotherDevice()
    using _ = await tablet.stream()
    stream[Symbol.dispose]()
    await stays(alice, LEASE_MS * 2)
    expect(alice.statuses).toEqual(['online'])
  })
})
