import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startGateway } from './support/gateway.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { Person, vapidKeyOf } from './support/person.ts'
import { GRACE_MS, LEASE_MS, PUSH_TIMES, usePush } from './support/push.ts'
import { PushService } from './support/push-service.ts'
import { until } from './support/wait.ts'

const SCRIPT = fileURLToPath(new URL('./support/push-dying-gateway.ts', import.meta.url))
const PATH = '/v1/devices/current/push-subscription'

const push = usePush()
let service: PushService

beforeAll(async () => {
  service = await PushService.start()
})
afterAll(() => service?.[Symbol.asyncDispose]())

/** A node that sends for real, until the end of the test. */
async function startNode(databaseUrl = push.postgres.url) {
  const config = { push: { graceMs: GRACE_MS, allowPrivate: true } }
  const node = await startGateway(databaseUrl, config, { leaseMs: LEASE_MS, push: PUSH_TIMES })
  onTestFinished(() => node[Symbol.asyncDispose]())
  return node
}

/** A node in a process of its own that dies at a step. */
function startDying(dieAt: string, graceMs: number, databaseUrl = push.postgres.url): GatewayProcess {
  const node = new GatewayProcess(
    {
      DATABASE_URL: databaseUrl,
      PUSH_ALLOW_PRIVATE: 'on',
      ...PushService.environment,
      DIE_AT: dieAt,
      TIMES: JSON.stringify({ graceMs, leaseMs: LEASE_MS, ...PUSH_TIMES }),
    },
    SCRIPT,
  )
  onTestFinished(() => node[Symbol.asyncDispose]())
  return node
}

/** Somebody who wants to be woken, and their browser. */
async function sleeper(url: string) {
  const person = await Person.signUp(url)
  return { person, browser: await service.browserOf(person) }
}

/** Somebody is woken: what was committed before has been decided then. */
async function marker(url: string): Promise<void> {
  const [alice, { person, browser }] = [await Person.signUp(url), await sleeper(url)]
  await alice.send(await alice.direct(person), 'marker')
  await until('the marker', () => browser.pushes.length === 1, 30_000)
}

describe('many nodes', () => {
  test('make one key and agree, and wake each person once, whoever commits and whoever sends', async () => {
    const [one, other] = await Promise.all([startNode(), startNode()])
    expect(await vapidKeyOf(one.url)).toBe(await vapidKeyOf(other.url))
    const alice = await Person.signUp(one.url)
    const people = await Promise.all(Array.from({ length: 30 }, () => sleeper(one.url)))
    const group = await alice.group(people.map(({ person }) => person))
    await Promise.all(
      [1, 2, 3, 4].map((n) => alice.at(n % 2 ? one.url : other.url).send(group, `message ${n}`)),
    )
    await until('all', () => people.every(({ browser }) => browser.pushes.length > 0))
    await Promise.all([marker(one.url), marker(other.url)])
    expect(people.map(({ browser }) => browser.pushes.length)).toEqual(people.map(() => 1))
  })

  /**
   * A node is killed at a step, and another one takes its place; with one person away, one who reads in time and one who
   * unsubscribes in time. In a database of its own, lest others do its work.
   */
  async function killed(dieAt: string) {
    await using database = await push.emptyDatabase(`killed_${dieAt}`)
    const dying = startDying(dieAt, dieAt === 'sent' ? 4_000 : GRACE_MS, database.url)
    const base = await dying.url()
    const [alice, away, reader, leaver] = await Promise.all([
      Person.signUp(base),
      ...[1, 2, 3].map(() => sleeper(base)),
    ])
    if (!alice || !away || !reader || !leaver) throw new Error('nobody is there')
    const group = await alice.group([away, reader, leaver].map(({ person }) => person))
    // Taken, but never answered: whether it arrived cannot be known.
    if (dieAt === 'sent') away.browser.next.push(() => void dying.kill())
    await alice.send(group, 'hello').catch(() => undefined)
    if (dieAt === 'sent') {
      await reader.person.call('PUT', `/v1/conversations/${group}/read`, { seq: 1 })
      await leaver.person.call('DELETE', PATH)
    }
    await dying.exited
    // As a third node writes it, which need not be there for that.
    await database.sql`UPDATE members SET read_seq = 1 WHERE user_id = ${reader.person.id} AND conversation_id = ${group}`
    await database.sql`DELETE FROM push_subscriptions WHERE user_id = ${leaver.person.id}`
    const living = await startNode(database.url)
    const attempts = dieAt === 'sent' ? 2 : 1
    await until(`what was left at ${dieAt}`, () => away.browser.pushes.length >= attempts, 40_000)
    expect(away.browser.pushes[0]?.payload).toMatchObject({ type: 'message', preview: 'hello' })
    await until('nobody to be left', async () => {
      const rows = await database.sql`SELECT node FROM push_planners`
      return rows.length === 1
    })
    await marker(living.url)
    const pushes = [away, reader, leaver].map(({ browser }) => browser.pushes.length)
    expect({ dieAt, pushes }).toEqual({ dieAt, pushes: [attempts, 0, 0] })
  }

  test('wake whom one did not that was killed, at any step, and nobody who read or unsubscribed in time', async () => {
    await Promise.all(['commit', 'grace', 'sending', 'sent'].map(killed))
  }, 90_000)

  test('go through what the last one left when they start again; nobody is rung twice for it', async () => {
    const dying = startDying('commit', GRACE_MS)
    const url = await dying.url()
    const [alice, bob] = [await Person.signUp(url), await sleeper(url)]
    const conversation = await alice.direct(bob.person)
    await alice.send(conversation, 'hello').catch(() => undefined)
    await dying.exited
    const first = await startNode()
    await until('the push', () => bob.browser.pushes.length === 1, 40_000)
    await first[Symbol.asyncDispose]()
    await marker((await startNode()).url)
    expect(bob.browser.pushes).toHaveLength(1)
  }, 60_000)

  test('lose nothing of one that goes away kindly within the grace time', async () => {
    const [leaving] = await Promise.all([startNode(), startNode()])
    const [alice, bob] = [await Person.signUp(leaving.url), await sleeper(leaving.url)]
    await alice.send(await alice.direct(bob.person), 'hello')
    await leaving[Symbol.asyncDispose]()
    await until('the push', () => bob.browser.pushes.length === 1, 30_000)
  }, 40_000)
})

describe('a node', () => {
  test('forgets what is committed while nobody wants to be woken, and begins once somebody does', async () => {
    const node = await push.start()
    await push.database.sql`DELETE FROM push_subscriptions`
    const { alice, bob, conversation } = await push.pair(node.url)
    await alice.send(conversation, 'hello')
    await node.recorder.waitFor(bob)
  })

  test('may keep texts out of pushes', async () => {
    const node = await push.start({ push: { previews: false } })
    const { alice, bob, conversation } = await push.pair(node.url)
    await alice.send(conversation, 'secret')
    const [sent] = await node.recorder.waitFor(bob)
    expect(sent?.payload.preview).toBeNull()
    expect(JSON.stringify(sent)).not.toContain('secret')
  })

  test('sends to those alone who subscribed with its key', async () => {
    const node = await push.start()
    const { alice, bob, conversation } = await push.pair(node.url)
    const phone = await bob.anotherDevice()
    await push.subscribe(phone)
    await push.database.sql`
      UPDATE push_subscriptions SET vapid_public_key = 'a former one'
      WHERE user_id = ${bob.id} AND device_id = ${bob.session.device_id}`
    await alice.send(conversation, 'hello')
    const [sent] = await node.recorder.waitFor(bob)
    await push.marker(node)
    expect(node.recorder.to(bob)).toHaveLength(1)
    expect(sent?.target.device_id).toBe(phone.session.device_id)
  })

  test('takes over an announcement whose node died', async () => {
    const living = await push.start()
    const { bob } = await push.pair(living.url)
    await push.database.sql`
      WITH made AS (
        INSERT INTO broadcasts (id, text, created_at, recipients_total, recipients_done, last_user, completed_at)
        VALUES (gen_random_uuid(), 'Down at noon', now(), 1, 1, ${bob.id}, now()) RETURNING *),
      head AS (UPDATE inbox_heads SET last_id = last_id + 1, last_at = now() WHERE user_id = ${bob.id} RETURNING last_id),
      told AS (
        INSERT INTO inbox (user_id, id, at, type, detail)
        SELECT ${bob.id}, h.last_id, m.created_at, 'announcement', jsonb_build_object('announcement_id', m.id) FROM made m, head h)
      INSERT INTO push_planners (node, planned_until, beat_at)
      SELECT 'dead', created_at - interval '1 second', created_at - interval '1 minute' FROM made`
    const [sent] = await living.recorder.waitFor(bob)
    expect(sent?.payload).toMatchObject({ type: 'announcement', preview: 'Down at noon' })
  })
})
