import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { type Event, Person } from './support/person.ts'
import type { Stream } from './support/stream.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway, postgres } = useGateway()

async function pair() {
  const [alice, bob] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
  return { alice, bob, chat: await alice.direct(bob) }
}

async function live(person: Person, query = ''): Promise<Stream> {
  const stream = await person.stream(query)
  await stream.waitForFrame('heartbeat')
  // Only behind an event is a stream known to be live.
  const self = await person.group([])
  await until('a live stream', () => stream.events.some((event) => conversationOf(event) === self))
  return stream
}

function conversationOf(event: object): unknown {
  return 'conversation_id' in event && event.conversation_id
}

const type = async (person: Person, chat: string) =>
  (await person.call('POST', `/v1/conversations/${chat}/typing`)).status

const read = (person: Person, chat: string, seq: number) =>
  person.call('PUT', `/v1/conversations/${chat}/read`, { seq })

/** Types until it is let through again. */
async function typeAgain(person: Person, chat: string, hearer: Stream, count: number): Promise<void> {
  await until(`${count} times typing`, async () => {
    await type(person, chat)
    return hearer.passing('typing').length >= count
  })
}

describe('typing', () => {
  test('is told to the others and not to the own devices, as a bare line of data', async () => {
    const { alice, bob, chat } = await pair()
    using hers = await live(alice)
    using his = await live(bob)
    expect(await type(alice, chat)).toBe(204)
    await until('typing', () => his.passing('typing')[0])
    const frame = his.frames.find(({ data }) => data.includes('"typing"'))
    expect(frame).toEqual({ data: frame?.data })
    const event = JSON.parse(frame?.data ?? '')
    expect(event).toEqual({
      ...{ id: null, type: 'typing', at: event.at, expires_in: 6 },
      ...{ conversation_id: chat, user_id: alice.id },
    })
    await alice.send(chat, 'after it')
    await hers.waitForTexts(1)
    expect(hers.passing('typing')).toEqual([])
    expect(his.lastEventId).not.toBe('')
    expect(his.events.at(-1)?.id).toBe(Number(his.lastEventId.split('-')[1]))
  })

  test('is told at most once in 3 s per person and conversation, however often it is said', async () => {
    const { alice, bob, chat } = await pair()
    const other = await alice.group([bob])
    using his = await live(bob)
    for (let n = 0; n < 3; n += 1) expect(await type(alice, chat)).toBe(204)
    expect(await type(alice, other)).toBe(204)
    await alice.send(chat, 'marker')
    await his.waitForTexts(1)
    expect(his.passing('typing').map(conversationOf)).toEqual([chat, other])
    const began = performance.now()
    await typeAgain(alice, chat, his, 3)
    expect(performance.now() - began).toBeGreaterThan(2_500)
  })

  test('P6 strangers cannot, and are told nothing', async () => {
    const { alice, chat } = await pair()
    const mallory = await Person.signUp(gateway.url)
    using hers = await live(alice)
    expect(await type(mallory, chat)).toBe(404)
    expect(await type(mallory, randomUUID())).toBe(404)
    await alice.send(chat, 'marker')
    await hers.waitForTexts(1)
    expect(hers.passing('typing')).toEqual([])
  })

  test('P6 whoever was removed neither sees nor says it, 5 s later at the latest', async () => {
    const { alice, bob } = await pair()
    const carol = await Person.signUp(gateway.url)
    const group = await alice.group([bob, carol])
    using his = await live(bob)
    using hers = await live(carol)
    await type(alice, group)
    await until('typing', () => his.passing('typing')[0] && hers.passing('typing')[0])
    await alice.call('DELETE', `/v1/conversations/${group}/members/${bob.id}`)
    const removedAt = performance.now()
    await until('his own typing to end', async () => (await type(bob, group)) === 404)
    expect(performance.now() - removedAt).toBeLessThan(5_000)
    const heard = his.passing('typing').length
    const before = hers.passing('typing').length
    await typeAgain(alice, group, hers, before + 1)
    await bob.send(await bob.group([]), 'marker')
    await his.waitForTexts(1)
    expect(his.passing('typing')).toHaveLength(heard)
  })

  test('somebody added just now is heard at once', async () => {
    const { alice, bob } = await pair()
    const group = await alice.group([])
    expect(await type(alice, group)).toBe(204)
    await alice.call('PUT', `/v1/conversations/${group}/members/${bob.id}`, {})
    expect(await type(bob, group)).toBe(204)
  })

  test('too much of it is refused, with the time to wait', async () => {
    await using limited = await startGateway(postgres.url, { rateLimits: true })
    const alice = await Person.signUp(limited.url)
    const group = await alice.group([])
    const refused = await until('a refusal', async () => {
      const answer = await alice.call('POST', `/v1/conversations/${group}/typing`)
      return answer.status !== 204 && answer
    })
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  test('in a group of more than 100 nobody is told', async () => {
    const { alice, bob } = await pair()
    const group = await alice.group([bob])
    await using database = new Database({ url: postgres.url })
    await database.sql`
      INSERT INTO members (conversation_id, user_id, role, joined_at, from_seq, read_seq)
      SELECT ${group}, 'extra-' || n, 'member', now(), 1, 0 FROM generate_series(1, 99) AS n`
    await database.sql`UPDATE conversations SET members_count = 101 WHERE id = ${group}`
    using his = await live(bob)
    expect(await type(alice, group)).toBe(204)
    await type(alice, await alice.direct(bob))
    await until('typing elsewhere', () => his.passing('typing')[0])
    expect(his.passing('typing').map(conversationOf)).not.toContain(group)
  })
})

describe('others’ read marks', () => {
  test('are told once, then the newest, never back; the own devices have their durable event', async () => {
    const { alice, bob, chat } = await pair()
    using his = await live(bob)
    using hers = await live(alice)
    for (let n = 1; n <= 6; n += 1) await bob.send(chat, String(n))
    for (const seq of [1, 2, 4, 3, 5, 5]) await read(alice, chat, seq)
    await until('the newest mark', () => his.passing('receipt.read').some(({ seq }) => seq === 5))
    const seqs = his.passing('receipt.read').map(({ seq }) => Number(seq))
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    expect(seqs.length).toBeLessThanOrEqual(3)
    expect(his.passing('receipt.read')[0]).toMatchObject({ conversation_id: chat, user_id: alice.id, seq: 1 })
    await until(
      'her own mark',
      () => hers.events.filter(({ type }) => type === 'conversation.read').length === 4,
    )
    expect(hers.passing('receipt.read')).toEqual([])
  })
})

describe('polls', () => {
  test('are ended by what passes once they have waited 2 s, with the newest of each, at the same cursor', async () => {
    const { alice, bob, chat } = await pair()
    for (let n = 1; n <= 3; n += 1) await alice.send(chat, String(n))
    const { cursor } = await alice.readAll()
    const began = performance.now()
    const polling = alice.poll(`wait=20&limit=1&after=${cursor}`)
    await until('the mark of a poll that waits', async () => {
      await type(bob, chat)
      return performance.now() - began > 300
    })
    for (const seq of [1, 2, 3]) await read(bob, chat, seq)
    const { body } = await polling
    expect(performance.now() - began).toBeGreaterThan(1_950)
    expect(performance.now() - began).toBeLessThan(4_000)
    expect(body).toMatchObject({ cursor, has_more: false })
    const kinds = body.events.map((event) => [event.id, event.type, event.seq])
    const expected = [
      [null, 'receipt.read', 3],
      [null, 'typing', undefined],
    ]
    expect(kinds.filter(([, kind]) => kind !== 'presence.changed').sort()).toEqual(expected.sort())
  })

  test('that have waited are ended at once; a message ends any at once, and what passed comes with it', async () => {
    const { alice, bob, chat } = await pair()
    const { cursor } = await alice.readAll()
    const began = performance.now()
    const polling = alice.poll(`wait=20&after=${cursor}`)
    await until('the time to pass', () => performance.now() - began > 2_200)
    await type(bob, chat)
    expect((await polling).body.events.map((event) => event.type)).toContain('typing')
    expect(performance.now() - began).toBeLessThan(3_000)

    const next = alice.poll(`wait=20&after=${cursor}`)
    const beganNext = performance.now()
    await read(bob, chat, (await alice.send(chat, 'one')).body.seq)
    const { body } = await next
    expect(performance.now() - beganNext).toBeLessThan(1_500)
    expect(body.events.filter(({ id }) => id !== null)).toHaveLength(1)
    expect(Number(body.cursor.split('-')[1])).toBe(body.events.findLast(({ id }) => id !== null)?.id)
  })

  test('that do not wait have only what is in the log', async () => {
    const { alice, bob, chat } = await pair()
    await type(bob, chat)
    const { events }: { events: Event[] } = await alice.readAll()
    expect(events.every(({ id }) => id !== null)).toBe(true)
  })
})

test('a slice is neither ended nor counted by what passes', async () => {
  const { alice, bob, chat } = await pair()
  const { cursor } = await alice.readAll()
  using slice = await alice.stream(`limit=2&after=${cursor}`)
  await slice.waitForFrame('heartbeat')
  const began = performance.now()
  await until('typing', async () => {
    await type(bob, chat)
    return slice.passing('typing')[0]
  })
  await until('more than the 100 ms of a slice', () => performance.now() - began > 400)
  expect(slice.ended).toBe(false)
  // Together, lest the slice's time be over between the two.
  const messages = ['one', 'two'].map((text) => ({ conversation_id: chat, text, client_id: text }))
  await bob.call('POST', '/v1/messages', { messages })
  await slice.waitForEnd()
  expect(slice.events).toHaveLength(2)
})

test('P8 a reader that is blocked misses what passes; nothing of the log', { timeout: 60_000 }, async () => {
  const { alice, bob, chat } = await pair()
  using lazy = await live(bob)
  using eager = await live(bob)
  lazy.response.pause()
  const text = 'x'.repeat(8_000)
  let sent = 0
  // Kernel buffers take some megabytes before the server feels anything.
  for (let n = 0; n < 12; n += 1) {
    const one = () => ({ conversation_id: chat, text, client_id: randomUUID() })
    const messages = Array.from({ length: 100 }, one)
    await alice.call('POST', '/v1/messages', { messages })
    sent += messages.length
  }
  await eager.waitForTexts(sent)
  await type(alice, chat)
  await until('typing', () => eager.passing('typing')[0])
  lazy.response.resume()
  await lazy.waitForTexts(sent)
  expect(lazy.passing('typing')).toEqual([])
  await typeAgain(alice, chat, lazy, 1)
})
