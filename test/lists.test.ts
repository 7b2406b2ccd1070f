import { beforeAll, describe, expect, test } from 'vitest'
import type { Conversation, Member, Message } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

type List = { conversations: Conversation[]; next: string | null; cursor: string }
type History = { messages: Message[]; has_more: boolean }

const { gateway, postgres } = useGateway()
let alice: Person
let bob: Person

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
})

const list = async (person: Person, query = '') =>
  (await person.call<List>('GET', `/v1/conversations?${query}`)).body
const read = async (person: Person, id: string) =>
  (await person.call<Conversation>('GET', `/v1/conversations/${id}`)).body
const idsOf = ({ conversations }: List) => conversations.map(({ id }) => id)

/** All pages of `limit`, one after the other. */
async function allPages(person: Person, limit: number): Promise<List[]> {
  const pages = [await list(person, `limit=${limit}`)]
  for (let next = pages[0]?.next; next; next = pages.at(-1)?.next) {
    pages.push(await list(person, `limit=${limit}&after=${encodeURIComponent(next)}`))
  }
  return pages
}

test('members of a large group come in pages of less than 48 KB', async () => {
  await using database = new Database({ url: postgres.url, maxConnections: 1 })
  const ids = Array.from({ length: 99 }, (_, n) => `member-${n}`)
  await database.sql`
    INSERT INTO users (id, display_name, display_name_folded) SELECT id, repeat('😀', 128), id FROM unnest(${ids}::text[]) AS id`
  await database.sql`INSERT INTO inbox_heads (user_id) SELECT unnest(${ids}::text[])`
  const { body } = await alice.call<Conversation>('POST', '/v1/conversations', {
    kind: 'group',
    members: ids,
  })
  const found: string[] = []
  for (let next: string | null = ''; next !== null; ) {
    const path: string = `/v1/conversations/${body.id}/members${next && `?after=${next}`}`
    const page = await alice.call<{ members: Member[]; next: string | null }>('GET', path)
    expect(Buffer.byteLength(page.text)).toBeLessThanOrEqual(48 * 1024)
    found.push(...page.body.members.map(({ user_id }) => user_id))
    next = page.body.next
  }
  expect(found.sort()).toEqual([alice.id, ...ids].sort())
})

describe('my conversations', () => {
  test('stand with the latest activity first', async () => {
    const person = await Person.signUp(gateway.url)
    const [a, b, c] = [await person.group([]), await person.group([bob]), await person.direct(bob)]
    expect(idsOf(await list(person))).toEqual([c, b, a])
    await person.send(a, 'up')
    expect(idsOf(await list(person))).toEqual([a, c, b])
    await bob.send(b, 'up')
    expect(idsOf(await list(person))).toEqual([b, a, c])
    const { conversations } = await list(person)
    for (const each of conversations) expect(each).toEqual(await read(person, each.id))
    expect(conversations[2]?.peer).toEqual(bob.session.user)
    expect(conversations[0]).not.toHaveProperty('peer')
  })

  test.each([1, 2, 7, 50])('come in pages of %i, each once, also those of one moment', async (limit) => {
    const person = await Person.signUp(gateway.url)
    const others = await Promise.all(Array.from({ length: 8 }, () => Person.signUp(gateway.url)))
    const to = others.map(({ id }) => id)
    await person.call('POST', '/v1/messages', { messages: [{ to, text: 'hello', client_id: 'hello' }] })
    for (let n = 0; n < 6; n += 1) await person.group([])
    await Promise.all(Array.from({ length: 6 }, () => person.group([])))
    const whole = await list(person, 'limit=100')
    expect(whole.next).toBeNull()
    expect(whole.conversations).toHaveLength(20)
    const pages = await allPages(person, limit)
    expect(pages.flatMap(idsOf)).toEqual(idsOf(whole))
    for (const page of pages.slice(0, -1)) expect(page.conversations).toHaveLength(limit)
    expect(pages.at(-1)?.conversations.length).toBeGreaterThan(0)
  })

  test('come in pages also where they were opened in the same millisecond and nothing was sent', async () => {
    const person = await Person.signUp(gateway.url)
    const others = await Promise.all(Array.from({ length: 20 }, () => Person.signUp(gateway.url)))
    await Promise.all(others.map((other) => person.direct(other)))
    const pages = await allPages(person, 1)
    expect(new Set(pages.flatMap(idsOf)).size).toBe(20)
    expect(pages).toHaveLength(20)
  })

  test('stand at `cursor`: the events behind it are exactly what changed since', async () => {
    const person = await Person.signUp(gateway.url)
    const chat = await bob.direct(person)
    const counts: number[] = []
    const sending = (async () => {
      for (let n = 0; n < 60; n += 1) await bob.send(chat, `${n}`)
    })()
    const snapshots: List[] = []
    while (counts.at(-1) !== 60) {
      const snapshot = await list(person)
      snapshots.push(snapshot)
      counts.push(snapshot.conversations[0]?.last_seq ?? 0)
    }
    await sending
    for (const { conversations, cursor } of snapshots) {
      const seq = conversations[0]?.last_seq ?? 0
      expect(conversations[0]).toMatchObject({ unread_count: seq, ...(seq > 0 && { last_message: { seq } }) })
      const { events } = await person.readAll(cursor)
      expect(events.map(({ message }) => message?.seq)).toEqual(
        Array.from({ length: 60 - seq }, (_, n) => seq + 1 + n),
      )
    }
  })

  test('the first page’s cursor covers what moves between pages', async () => {
    const person = await Person.signUp(gateway.url)
    const ids: string[] = []
    for (let n = 0; n < 4; n += 1) ids.unshift(await person.group([bob]))
    const first = await list(person, 'limit=2')
    await bob.send(ids[3] ?? '', 'jumps to the front')
    const second = await list(person, `limit=2&after=${first.next}`)
    const { events } = await person.readAll(first.cursor)
    const known = new Set([
      ...idsOf(first),
      ...idsOf(second),
      ...events.map((event) => event.conversation_id),
    ])
    expect(known).toEqual(new Set(ids))
  })
})

describe('unread counts and read marks', () => {
  const mark = (person: Person, id: string, seq: unknown) =>
    person.call('PUT', `/v1/conversations/${id}/read`, { seq })

  test('count what others sent behind the mark', async () => {
    const chat = await alice.group([bob])
    for (const [n, sender] of [alice, bob, alice, bob, alice].entries()) await sender.send(chat, `${n}`)
    expect(await read(bob, chat)).toMatchObject({ unread_count: 3, read_seq: 0, mention_count: 0 })
    expect(await read(alice, chat)).toMatchObject({ unread_count: 2 })
    expect((await mark(bob, chat, 1)).status).toBe(204)
    expect(await read(bob, chat)).toMatchObject({ unread_count: 2, read_seq: 1 })
    await mark(bob, chat, 5)
    expect(await read(bob, chat)).toMatchObject({ unread_count: 0, read_seq: 5 })
    expect(await read(alice, chat)).toMatchObject({ unread_count: 2, read_seq: 0 })
  })

  test('P5 never move back, nor beyond the end, whoever is first', async () => {
    const chat = await alice.direct(await Person.signUp(gateway.url))
    for (let n = 0; n < 9; n += 1) await alice.send(chat, `${n}`)
    const after = (await alice.readAll()).cursor
    await Promise.all([3, 9, 1, 7, 5, 2].map((seq) => mark(alice, chat, seq)))
    expect((await read(alice, chat)).read_seq).toBe(9)
    expect((await mark(alice, chat, 4)).status).toBe(204)
    await mark(alice, chat, 1_000_000)
    expect((await read(alice, chat)).read_seq).toBe(9)
    const { body } = await alice.call<{ members: Member[] }>('GET', `/v1/conversations/${chat}/members`)
    expect(body.members.find(({ user_id }) => user_id === alice.id)?.read_seq).toBe(9)
    await alice.send(chat, 'ten')
    expect((await read(alice, chat)).read_seq).toBe(9)
    const marks = (await alice.readAll(after)).events.filter(({ type }) => type === 'conversation.read')
    const seqs = marks.map(({ seq }) => Number(seq))
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
    expect(seqs.at(-1)).toBe(9)
  })

  test('are told to my own devices, and to nobody else as a log event', async () => {
    const chat = await alice.group([bob])
    for (let n = 0; n < 3; n += 1) await bob.send(chat, `${n}`)
    const [mine, theirs] = [(await alice.readAll()).cursor, (await bob.readAll()).cursor]
    const device = await alice.anotherDevice()
    using stream = await device.stream()
    await stream.waitForFrame('heartbeat')
    await mark(alice, chat, 2)
    await until('the mark', () => stream.events.length > 0)
    const event = {
      type: 'conversation.read',
      conversation_id: chat,
      seq: 2,
      unread_count: 1,
      mention_count: 0,
    }
    expect(stream.events[0]).toMatchObject(event)
    expect((await alice.readAll(mine)).events).toMatchObject([event])
    expect((await bob.readAll(theirs)).events).toEqual([])
  })

  test.each([-1, 1.5, '1', null, 1e300])('%j is no mark: 422', async (seq) => {
    expectProblem(await mark(alice, await alice.group([]), seq), 422, 'validation_failed')
  })
})

describe('history', () => {
  let chat: string
  beforeAll(async () => {
    chat = await alice.group([bob])
    for (let n = 1; n <= 12; n += 1) await alice.send(chat, `${n}`)
  })

  test.each<[query: string, seqs: number[], hasMore: boolean]>([
    ['', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], false],
    ['limit=12', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], false],
    ['limit=3', [10, 11, 12], true],
    ['before_seq=10&limit=3', [7, 8, 9], true],
    ['before_seq=4&limit=3', [1, 2, 3], false],
    ['before_seq=3&limit=3', [1, 2], false],
    ['before_seq=1', [], false],
    ['before_seq=0', [], false],
    ['before_seq=1000&limit=2', [11, 12], true],
    ['after_seq=0&limit=3', [1, 2, 3], true],
    ['after_seq=9&limit=3', [10, 11, 12], false],
    ['after_seq=8&limit=3', [9, 10, 11], true],
    ['after_seq=12', [], false],
    ['after_seq=9007199254740991', [], false],
    ['around_seq=6&limit=1', [6], true],
    ['around_seq=6&limit=5', [4, 5, 6, 7, 8], true],
    ['around_seq=6&limit=100', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], false],
  ])('%s', async (query, seqs, hasMore) => {
    const { status, body } = await bob.call<History>('GET', `/v1/conversations/${chat}/messages?${query}`)
    expect(status).toBe(200)
    expect(body.messages.map(({ seq }) => seq)).toEqual(seqs)
    expect(body.has_more).toBe(hasMore)
  })

  test.each([1, 2, 11, 12, 13])('around_seq=%i holds it, or what is nearest', async (seq) => {
    const path = `/v1/conversations/${chat}/messages?around_seq=${seq}&limit=4`
    const seqs = (await bob.call<History>('GET', path)).body.messages.map((message) => message.seq)
    expect(seqs).toContain(Math.min(seq, 12))
    expect(seqs).toEqual(seqs.map((_, n) => (seqs[0] ?? 0) + n))
  })

  test.each([
    'limit=0',
    'limit=201',
    'before_seq=-1',
    'after_seq=x',
    'after_seq=1&before_seq=5',
    'around_seq=1.5',
  ])('%s is 422', async (query) => {
    const answer = await bob.call('GET', `/v1/conversations/${chat}/messages?${query}`)
    expectProblem(answer, 422, 'validation_failed')
  })
})
