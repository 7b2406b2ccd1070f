import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'

/** A conversation that went on for two years and a half: its messages are in some thirty monthly partitions. */
const COUNT = 130

type History = { messages: Message[]; has_more: boolean }

const { postgres, gateway } = useGateway()
let database: Database
let alice: Person
let bob: Person
let chat: string

beforeAll(async () => {
  database = new Database({ url: postgres.url, maxConnections: 1 })
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
  for (let n = 1; n <= COUNT; n += 1) await alice.send(chat, `number ${n}`, `key-${n}`)
  const { sql } = database
  const months = await sql<{ name: string; low: string; high: string }[]>`
    SELECT 'messages_' || to_char(m AT TIME ZONE 'UTC', 'YYYYMM') AS name, m::text AS low, (m + interval '1 month')::text AS high
    FROM generate_series(date_trunc('month', now(), 'UTC') - interval '24 months', now(), '1 month') AS m`
  for (const { name, low, high } of months) {
    await sql.unsafe(
      `CREATE TABLE IF NOT EXISTS ${name} PARTITION OF messages FOR VALUES FROM ('${low}') TO ('${high}')`,
    )
  }
  // A week apart; the oldest are from before there were partitions, in the default one.
  await sql`UPDATE messages SET created_at = created_at - (${COUNT} - seq) * interval '1 week' WHERE conversation_id = ${chat}`
  await sql`UPDATE inbox SET message_at = at - (${COUNT} - seq) * interval '1 week' WHERE conversation_id = ${chat} AND type = 'message.created'`
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

const path = () => `/v1/conversations/${chat}/messages`
const read = async (query: string) => (await bob.call<History>('GET', `${path()}?${query}`)).body
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

test('they are in many partitions', async () => {
  const [row] =
    await database.sql`SELECT count(DISTINCT tableoid)::int AS parts FROM messages WHERE conversation_id = ${chat}`
  expect(row?.parts).toBeGreaterThan(20)
})

test.each([
  ['', range(81, 130), true],
  ['limit=200', range(1, 130), false],
  ['before_seq=61', range(11, 60), true],
  ['before_seq=4', range(1, 3), false],
  ['after_seq=40&limit=5', range(41, 45), true],
  ['after_seq=127', range(128, 130), false],
  ['around_seq=60&limit=7', range(57, 63), true],
  ['around_seq=1&limit=4', range(1, 3), true],
])('a page across months: %j', async (query, seqs, has_more) => {
  const page = await read(query)
  expect(page.messages.map(({ seq }) => seq)).toEqual(seqs)
  expect(page.messages.map(({ text }) => text)).toEqual(seqs.map((seq) => `number ${seq}`))
  expect(page.has_more).toBe(has_more)
})

test('page by page, either way, each message once', async () => {
  const back: number[] = []
  for (let before = COUNT + 1, more = true; more; before = back[0] ?? 0) {
    const page = await read(`before_seq=${before}&limit=17`)
    back.unshift(...page.messages.map(({ seq }) => seq))
    more = page.has_more
  }
  expect(back).toEqual(range(1, COUNT))
  const forth: number[] = []
  for (let more = true; more; ) {
    const page = await read(`after_seq=${forth.at(-1) ?? 0}&limit=17`)
    forth.push(...page.messages.map(({ seq }) => seq))
    more = page.has_more
  }
  expect(forth).toEqual(back)
})

test('one message of long ago, its repetition, its event and the latest in the list', async () => {
  const { body: one } = await bob.call<Message>('GET', `${path()}/7`)
  expect(one).toMatchObject({ seq: 7, text: 'number 7' })
  const again = await alice.send(chat, 'number 7', 'key-7')
  expect([again.status, again.body]).toEqual([200, one])
  const { events } = await bob.readAll()
  expect(events.flatMap(({ message }) => message?.seq ?? [])).toEqual(range(1, COUNT))
  const { body: list } = await bob.call<{ conversations: Conversation[] }>('GET', '/v1/conversations')
  expect(list.conversations[0]?.last_message).toMatchObject({ seq: COUNT, text: `number ${COUNT}` })
})
