import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Conversation } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { Housekeeping } from '../src/store/housekeeping.ts'
import { ClientState } from './support/client-state.ts'
import { HeldTransaction } from './support/held-transaction.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

type List = { conversations: Conversation[]; next: string | null; cursor: string }

const { postgres, gateway } = useGateway()
let database: Database
let alice: Person
let bob: Person
let chat: string

beforeAll(async () => {
  database = new Database({ url: postgres.url, maxConnections: 2 })
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

const sql: Database['sql'] = ((...given: Parameters<Database['sql']>) =>
  database.sql(...given)) as Database['sql']
const housekeeping = () => new Housekeeping(database, 30, (error) => expect.fail(String(error)))
const exists = async (part: string) =>
  (await sql`SELECT to_regclass(${part}) IS NOT NULL AS is`)[0]?.is === true

/** A week's partition of long ago, with an event in it. */
async function makeOldPartition(day: string): Promise<string> {
  const part = `inbox_${day.replaceAll('-', '')}`
  await database.sql.unsafe(`CREATE TABLE ${part} PARTITION OF inbox
    FOR VALUES FROM ('${day}T00:00:00Z') TO (timestamptz '${day}T00:00:00Z' + interval '1 week')`)
  await sql`INSERT INTO inbox (user_id, id, at, type) VALUES ('nobody', 1, ${`${day}T12:00:00Z`}::text::timestamptz, 'announcement')`
  return part
}

test('what is over the retention goes, all of it at once, and what is not stays', async () => {
  const old = [await makeOldPartition('2024-01-01'), await makeOldPartition('2024-01-08')]
  await alice.send(chat, 'of today')
  const before = await bob.readAll()
  using keeper = housekeeping()
  await keeper.run()
  for (const part of old) expect(await exists(part)).toBe(false)
  expect(await bob.readAll()).toEqual(before)
})

test('what was taken off before a crash is dropped after it', async () => {
  const part = await makeOldPartition('2024-02-05')
  await database.sql.unsafe(`ALTER TABLE inbox DETACH PARTITION ${part}`)
  using keeper = housekeeping()
  await keeper.run()
  expect(await exists(part)).toBe(false)
})

test('a long reader is not cut off, no send waits for it, and when it ends the old goes soon', async () => {
  const part = await makeOldPartition('2024-03-04')
  const slowest = { ms: 0 }
  let isSending = true
  const sending = (async () => {
    for (let n = 0; isSending; n += 1) {
      const begun = performance.now()
      expect((await alice.send(chat, `meanwhile ${n}`)).status).toBe(201)
      slowest.ms = Math.max(slowest.ms, performance.now() - begun)
    }
  })()
  using keeper = housekeeping()
  {
    await using reader = new HeldTransaction(postgres.url, (tx) => tx`SELECT count(*) FROM inbox`)
    await reader.held
    // Twice: what goes by itself after a while, and what somebody asks for.
    await keeper.run()
    await keeper.run()
    expect(await exists(part)).toBe(true)
    await reader.commit()
  }
  await until('the old to be gone', async () => !(await exists(part)))
  isSending = false
  await sending
  // It waits for a lock 100 ms at most, and others may have to wait for it; the rest is for a busy machine.
  expect(slowest.ms).toBeLessThan(2_000)
})

test('a cursor that falls behind gets `reset`, and whoever follows the protocol has the state that reading all gives', async () => {
  const carol = await Person.signUp(gateway.url)
  const group = await alice.group([bob, carol], { title: 'Before' })
  const talk = async (round: string) => {
    for (let n = 0; n < 8; n += 1)
      await (n % 3 === 0 ? carol : alice).send(n % 2 === 0 ? group : chat, `${round} ${n}`)
    await bob.call('PUT', `/v1/conversations/${group}/read`, { seq: 3 })
  }
  await talk('first')
  const left = (await bob.readAll()).cursor
  await talk('second')
  await alice.call('PATCH', `/v1/conversations/${group}`, { title: 'After' })
  await alice.call('DELETE', `/v1/conversations/${group}/messages/2`)
  const late = await carol.direct(bob)
  await carol.send(late, 'only in what is gone by then')
  // Two months go by.
  await sql`UPDATE inbox SET at = at - interval '60 days'`
  using keeper = housekeeping()
  await keeper.run()
  await talk('third')

  const { body: poll } = await bob.poll(`wait=0&after=${left}`)
  expect(poll).toMatchObject({ reset: 'expired', events: [] })
  using stream = await bob.stream(`after=${left}`)
  expect(JSON.parse((await until('reset', () => stream.named('reset')[0])).data)).toEqual({
    cursor: poll.cursor,
    reason: 'expired',
  })
  // Again, as a poll that was told so acknowledges nothing.
  expect((await bob.poll(`wait=0&after=${left}`)).body.reset).toBe('expired')

  const client = new ClientState(bob.id)
  const { body: list } = await bob.call<List>('GET', '/v1/conversations?limit=100')
  for (const conversation of list.conversations) client.conversations.set(conversation.id, conversation)
  await talk('fourth')
  const { events } = await bob.readAll(list.cursor)
  for (const event of events) client.apply(event)
  const { body: now } = await bob.call<List>('GET', '/v1/conversations?limit=100')
  expect(client.conversations.size).toBe(now.conversations.length)
  for (const conversation of now.conversations)
    expect(client.conversations.get(conversation.id)).toEqual(conversation)

  // And the messages themselves are all there, whatever became of their events.
  const history = await bob.call<{ messages: { seq: number; text: string }[] }>(
    'GET',
    `/v1/conversations/${group}/messages?limit=200`,
  )
  expect(history.body.messages.map(({ seq }) => seq)).toEqual(history.body.messages.map((_, n) => n + 1))
  expect(history.body.messages.filter(({ text }) => text.startsWith('first'))).not.toEqual([])
  expect(now.conversations.find(({ id }) => id === late)?.last_message?.text).toBe(
    'only in what is gone by then',
  )
})
