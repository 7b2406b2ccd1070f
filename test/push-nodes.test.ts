import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { GatewayProcess } from './support/gateway-process.ts'
import { Person } from './support/person.ts'
import { EXPIRE_SECONDS, GRACE_MS, LEASE_MS, STALE_MS, usePush } from './support/push.ts'
import { until } from './support/wait.ts'

const SCRIPT = fileURLToPath(new URL('./support/dying-gateway.ts', import.meta.url))

const push = usePush()
const { pair, subscribe, marker } = push

/** A node in a process of its own that dies at a step; `sent` are those whom it woke. */
async function startDying(dieAt: string): Promise<{ node: GatewayProcess; url: string; sent: string[] }> {
  const times = { GRACE_MS, LEASE_MS, STALE_MS, EXPIRE_SECONDS }
  const env = Object.fromEntries(Object.entries(times).map(([name, value]) => [name, String(value)]))
  const node = new GatewayProcess({ DATABASE_URL: push.postgres.url, DIE_AT: dieAt, ...env }, SCRIPT)
  onTestFinished(() => node[Symbol.asyncDispose]())
  const sent: string[] = []
  node.child.on('message', (userId) => sent.push(String(userId)))
  return { node, url: await node.url(), sent }
}

describe('many nodes', () => {
  test('wake each person once, whoever commits and whoever sends', async () => {
    const [one, other] = [await push.start(), await push.start()]
    const alice = await Person.signUp(one.url)
    const people = await Promise.all(Array.from({ length: 30 }, () => Person.signUp(one.url)))
    await Promise.all(people.map((person) => subscribe(person)))
    const group = await alice.group(people)
    await Promise.all(
      [1, 2, 3, 4].map((n) => alice.at(n % 2 ? one.url : other.url).send(group, `message ${n}`)),
    )
    const all = () => [...one.recorder.all, ...other.recorder.all].map(({ target }) => target.user_id)
    await until('all', () => new Set(all()).size === people.length)
    await Promise.all([marker(one), marker(other)])
    const woken = all().filter((id) => people.some((person) => person.id === id))
    expect(woken.sort()).toEqual(people.map(({ id }) => id).sort())
  })

  test.each(['commit', 'grace', 'sending', 'sent'])(
    'wake whom one did not that was killed at: %s',
    async (dieAt) => {
      const dying = await startDying(dieAt)
      const { alice, bob, conversation } = await pair(dying.url)
      const seen = await Person.signUp(dying.url)
      await subscribe(seen)
      const read = await alice.direct(seen)
      const living = await push.start()
      if (dieAt === 'grace') {
        await alice.at(living.url).send(read, 'read in time')
        await seen.at(living.url).call('PUT', `/v1/conversations/${read}/read`, { seq: 1 })
      }
      await alice.send(conversation, 'hello').catch(() => undefined)
      await dying.node.exited
      const [sent] = await living.recorder.waitFor(bob, 1, 40_000)
      expect(sent?.payload.preview).toBe('hello')
      expect(dying.sent).toEqual(dieAt === 'sent' ? [bob.id] : [])
      await until(
        'nobody to be left',
        async () => {
          const rows = await push.database.sql`SELECT node FROM push_planners`
          return rows.length === 1
        },
        40_000,
      )
      await marker(living)
      expect(living.recorder.to(bob)).toHaveLength(1)
      expect(living.recorder.to(seen)).toEqual([])
    },
    90_000,
  )

  test('go through what the last one left when they start again; nobody is rung twice for it', async () => {
    const dying = await startDying('commit')
    const one = await pair(dying.url)
    await one.alice.send(one.conversation, 'hello').catch(() => undefined)
    await dying.node.exited
    const { recorder, gateway } = await push.start()
    await recorder.waitFor(one.bob, 1, 40_000)
    await gateway[Symbol.asyncDispose]()
    const again = await push.start()
    await marker(again)
    expect(again.recorder.to(one.bob)).toEqual([])
  }, 60_000)

  test('lose nothing of one that goes away kindly within the grace time', async () => {
    const leaving = await push.start()
    const staying = await push.start()
    const { alice, bob, conversation } = await pair(leaving.url)
    await alice.send(conversation, 'hello')
    await leaving.gateway[Symbol.asyncDispose]()
    await until(
      'the push',
      () => leaving.recorder.to(bob).length + staying.recorder.to(bob).length === 1,
      30_000,
    )
  }, 40_000)

  test('put through again what is committed while push knows nobody, once somebody wants to be woken', async () => {
    const node = await push.start()
    await push.database.sql`DELETE FROM push_subscriptions`
    const { alice, bob, conversation } = await pair(node.url)
    await alice.send(conversation, 'hello')
    await node.recorder.waitFor(bob)
  })
})

test('an announcement whose node dies wakes everybody nevertheless', async () => {
  const living = await push.start()
  const { bob } = await pair(living.url)
  await push.database.sql`
    WITH made AS (
      INSERT INTO broadcasts (id, text, created_at, recipients_total, recipients_done, last_user, completed_at)
      VALUES (gen_random_uuid(), 'Down at noon', now(), 1, 1, ${bob.id}, now()) RETURNING *),
    head AS (UPDATE inbox_heads SET last_id = last_id + 1 WHERE user_id = ${bob.id} RETURNING last_id),
    told AS (
      INSERT INTO inbox (user_id, id, at, type, detail)
      SELECT ${bob.id}, h.last_id, m.created_at, 'announcement', jsonb_build_object('announcement_id', m.id) FROM made m, head h)
    INSERT INTO push_planners (node, planned_until, beat_at)
    SELECT 'dead', created_at - interval '1 second', created_at - interval '1 minute' FROM made`
  const [sent] = await living.recorder.waitFor(bob)
  expect(sent?.payload).toMatchObject({ type: 'announcement', preview: 'Down at noon' })
})
