import { beforeAll, describe, expect, test } from 'vitest'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { type Event, Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'

const { gateway, postgres } = useGateway()
let alice: Person
let bob: Person
let carol: Person

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  carol = await Person.signUp(gateway.url)
})

const at = (chat: string, seq: number) => `/v1/conversations/${chat}/messages/${seq}`
const reaction = (chat: string, seq: number, emoji: string) =>
  `${at(chat, seq)}/reactions/${encodeURIComponent(emoji)}`
const message = async (by: Person, chat: string, seq: number) =>
  (await by.call<Message>('GET', at(chat, seq))).body
const view = async (by: Person, chat: string) =>
  (await by.call<Conversation>('GET', `/v1/conversations/${chat}`)).body
async function eventsOf(person: Person, chat: string, type: string): Promise<Event[]> {
  const { events } = await person.readAll()
  return events.filter((event) => event.conversation_id === chat && event.type === type)
}

describe('an edit', () => {
  test('is its sender’s alone; everybody learns of it, and what is read again is as it is now', async () => {
    const chat = await alice.group([bob, carol])
    await alice.send(chat, 'helo')
    using stream = await bob.stream('after=0')
    await stream.waitForTexts(1)
    const edited = await alice.call<Message>('PATCH', at(chat, 1), { text: 'hello', data: { a: 1 } })
    expect(edited.status).toBe(200)
    expect(edited.body).toMatchObject({ seq: 1, text: 'hello', data: { a: 1 } })
    expect(Date.parse(edited.body.edited_at ?? '')).toBeGreaterThanOrEqual(Date.parse(edited.body.created_at))
    expect(await stream.waitForTexts(2)).toEqual(['helo', 'hello'])
    expect(stream.events.at(-1)).toMatchObject({ type: 'message.edited', message: edited.body })
    expect((await eventsOf(bob, chat, 'message.created')).map((event) => event.message)).toEqual([
      edited.body,
    ])
    expect((await view(carol, chat)).last_message).toEqual(edited.body)
    expectProblem(await bob.call('PATCH', at(chat, 1), { text: 'mine' }), 403, 'forbidden')
    expectProblem(await alice.call('PATCH', at(chat, 1), {}), 422, 'validation_failed')
    expectProblem(await alice.call('PATCH', at(chat, 9), { text: 'x' }), 404, 'not_found')
    const stranger = await Person.signUp(gateway.url)
    expectProblem(await stranger.call('PATCH', at(chat, 1), { text: 'x' }), 404, 'not_found')
  })
})

test('the answer to a long edit is cut, as that to a long message is: scanners stall on more than 48 KB', async () => {
  const chat = await alice.direct(bob)
  const sent = await alice.send(chat, 'short')
  const text = 'long '.repeat(20_000)
  const edited = await alice.call<Message>('PATCH', at(chat, sent.body.seq), { text })
  expect(edited.body).toMatchObject({ seq: sent.body.seq, truncated: true })
  expect(edited.text.length).toBeLessThan(48 * 1024)
  expect((await message(bob, chat, sent.body.seq)).text).toBe(text)
})

describe('a deletion', () => {
  test('leaves a tombstone; the text is nowhere, for nobody', async () => {
    const chat = await alice.group([bob])
    const secret = `secret ${crypto.randomUUID()}`
    await alice.call(
      'POST',
      `/v1/conversations/${chat}/messages`,
      { text: secret, data: { secret } },
      { 'idempotency-key': secret.slice(7) },
    )
    await bob.call('PUT', reaction(chat, 1, '👍'))
    expectProblem(await bob.call('DELETE', at(chat, 1)), 403, 'forbidden')
    expect((await alice.call('DELETE', at(chat, 1))).status).toBe(204)
    expect((await alice.call('DELETE', at(chat, 1))).status).toBe(204)
    const tombstone = await message(bob, chat, 1)
    expect(tombstone).toMatchObject({
      seq: 1,
      text: '',
      data: {},
      reactions: [],
      mentions: [],
      sender_id: alice.id,
    })
    expect(tombstone.deleted_at).not.toBeNull()
    for (const person of [alice, bob]) {
      const { events } = await person.readAll()
      expect(JSON.stringify(events)).not.toContain(secret)
      expect(await eventsOf(person, chat, 'message.deleted')).toHaveLength(1)
      expect((await view(person, chat)).last_message).toEqual(tombstone)
    }
    const again = await alice.call<Message>(
      'POST',
      `/v1/conversations/${chat}/messages`,
      { text: secret, data: { secret } },
      { 'idempotency-key': secret.slice(7) },
    )
    expect([again.status, again.body]).toEqual([200, tombstone])
    expect(await mentionsInDatabase(secret)).toEqual([])
    expectProblem(await alice.call('PATCH', at(chat, 1), { text: 'back' }), 409, 'message_deleted')
    expectProblem(await bob.call('PUT', reaction(chat, 1, '👍')), 409, 'message_deleted')
  })

  test('is open to the admins of a group, not to the other side of a direct conversation', async () => {
    const group = await alice.group([bob, carol])
    await carol.send(group, 'rude')
    expectProblem(await bob.call('DELETE', at(group, 1)), 403, 'forbidden')
    await alice.call('PUT', `/v1/conversations/${group}/members/${bob.id}`, { role: 'admin' })
    expect((await bob.call('DELETE', at(group, 1))).status).toBe(204)
    const chat = await alice.direct(bob)
    await alice.send(chat, 'mine')
    expectProblem(await bob.call('DELETE', at(chat, 1)), 403, 'forbidden')
  })

  /** Tables, as text, that hold what is sought. */
  async function mentionsInDatabase(sought: string): Promise<string[]> {
    await using database = new Database({ url: postgres.url, maxConnections: 1 })
    const tables = await database.sql<{ name: string }[]>`
      SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = current_schema() AND c.relkind = 'r'`
    const found: string[] = []
    for (const { name } of tables) {
      const rows = await database.sql`
        SELECT 1 FROM ${database.sql(name)} t WHERE strpos(to_jsonb(t)::text, ${sought}) > 0 LIMIT 1`
      if (rows.length > 0) found.push(name)
    }
    return found
  }
})

describe('reactions', () => {
  test('one of each emoji per person, in the order in which they came', async () => {
    const chat = await alice.group([bob, carol])
    await alice.send(chat, 'party')
    for (const person of [alice, bob])
      expect((await person.call('PUT', reaction(chat, 1, '🎉'))).status).toBe(204)
    // Without its variation selector it looks the same, so it is the same.
    await carol.call('PUT', reaction(chat, 1, '❤'))
    await carol.call('PUT', reaction(chat, 1, '❤️'))
    await bob.call('PUT', reaction(chat, 1, '🎉'))
    const all = [
      { emoji: '🎉', count: 2, user_ids: [alice.id, bob.id] },
      { emoji: '❤️', count: 1, user_ids: [carol.id] },
    ]
    expect((await message(bob, chat, 1)).reactions).toEqual(all)
    const added = await eventsOf(carol, chat, 'reaction.added')
    expect(added.map(({ user_id, emoji }) => [user_id, emoji])).toEqual([
      [alice.id, '🎉'],
      [bob.id, '🎉'],
      [carol.id, '❤️'],
    ])
    // Read again: as it is now.
    expect(added.map(({ message_seq, reactions }) => ({ message_seq, reactions }))).toEqual(
      [1, 2, 3].map(() => ({ message_seq: 1, reactions: all })),
    )
    expect((await bob.call('DELETE', reaction(chat, 1, '🎉'))).status).toBe(204)
    expect((await bob.call('DELETE', reaction(chat, 1, '🎉'))).status).toBe(204)
    expect(await eventsOf(carol, chat, 'reaction.removed')).toHaveLength(1)
    expect((await message(bob, chat, 1)).reactions[0]).toEqual({
      emoji: '🎉',
      count: 1,
      user_ids: [alice.id],
    })
  })

  test.each(['x', 'ok', '👍👍', '', ' ', '👍x', '\u{1f3fb}\u{fe0f}x'])(
    'nothing but one emoji: "%s"',
    async (text) => {
      const chat = await alice.direct(bob)
      await alice.send(chat, 'hm')
      const answer = await alice.call('PUT', reaction(chat, 1, text))
      if (text === '') expectProblem(answer, 404, 'not_found')
      else expectProblem(answer, 422, 'validation_failed')
      expect((await message(alice, chat, 1)).reactions).toEqual([])
    },
  )

  test('are not without end on one message', async () => {
    const chat = await alice.group([bob])
    await alice.send(chat, 'animals')
    const animals = Array.from({ length: 21 }, (_, n) => animal(n))
    for (const each of animals.slice(0, 20))
      expect((await alice.call('PUT', reaction(chat, 1, each))).status).toBe(204)
    expectProblem(await bob.call('PUT', reaction(chat, 1, animals[20] ?? '')), 422, 'too_many_reactions')
    expect((await bob.call('PUT', reaction(chat, 1, animals[0] ?? ''))).status).toBe(204)
  })
})

/** 🐀 to 🐔. */
function animal(n: number): string {
  return String.fromCodePoint(0x1f400 + n)
}

describe('mentions', () => {
  test('are members by their user names; counted for those who have not read them', async () => {
    const group = await alice.group([bob, carol])
    const { username } = bob.session.user
    const stranger = await Person.signUp(gateway.url)
    const names = `@${username?.toUpperCase()}, (@${carol.session.user.username}). @${stranger.session.user.username} a@${username} @nobody`
    const sent = await alice.send(group, names)
    expect([...sent.body.mentions].sort()).toEqual([bob.id, carol.id].sort())
    expect(await view(bob, group)).toMatchObject({ unread_count: 1, mention_count: 1 })
    await alice.send(group, `@${alice.session.user.username}`)
    expect(await view(alice, group)).toMatchObject({ unread_count: 0, mention_count: 0 })
    expect(await view(bob, group)).toMatchObject({ unread_count: 2, mention_count: 1 })
    await bob.call('PUT', `/v1/conversations/${group}/read`, { seq: 1 })
    expect(await view(bob, group)).toMatchObject({ unread_count: 1, mention_count: 0 })
    expect((await eventsOf(bob, group, 'conversation.read')).at(-1)).toMatchObject({
      ...{ seq: 1, unread_count: 1, mention_count: 0 },
    })
  })

  test('follow an edit and a deletion: whose count changes is told the new one', async () => {
    const chat = await alice.direct(bob)
    const seq = (await alice.send(chat, 'nobody yet')).body.seq
    await alice.call('PATCH', at(chat, seq), { text: `@${bob.session.user.username}` })
    expect((await eventsOf(bob, chat, 'conversation.read')).at(-1)).toMatchObject({ mention_count: 1 })
    expect((await view(bob, chat)).mention_count).toBe(1)
    await alice.call('DELETE', at(chat, seq))
    expect((await eventsOf(bob, chat, 'conversation.read')).at(-1)).toMatchObject({ mention_count: 0 })
    expect((await view(bob, chat)).mention_count).toBe(0)
    expect(await eventsOf(alice, chat, 'conversation.read')).toEqual([])
  })
})

describe('a group that wants them has system messages', () => {
  test('of joins, leaves and titles', async () => {
    const group = await alice.group([bob], { system_messages: true })
    await alice.call('PUT', `/v1/conversations/${group}/members/${carol.id}`)
    await alice.call('PATCH', `/v1/conversations/${group}`, { title: 'Tea' })
    await alice.call('DELETE', `/v1/conversations/${group}/members/${carol.id}`)
    await bob.call('DELETE', `/v1/conversations/${group}/members/${bob.id}`)
    const { messages } = (
      await alice.call<{ messages: Message[] }>('GET', `/v1/conversations/${group}/messages`)
    ).body
    const name = (person: Person) => person.session.user.display_name
    expect(messages.map(({ text }) => text)).toEqual([
      `${name(alice)} added ${name(carol)}`,
      `${name(alice)} named the group “Tea”`,
      `${name(alice)} removed ${name(carol)}`,
      `${name(bob)} left`,
    ])
    expect(messages[0]).toMatchObject({
      kind: 'system',
      sender_id: null,
      data: { event: 'member.added', by: alice.id, user_id: carol.id },
    })
    const carols = (await carol.readAll()).events.filter((event) => event.conversation_id === group)
    expect(carols.at(-1)).toMatchObject({ type: 'member.removed', user_id: carol.id })
    expectProblem(await alice.call('PATCH', at(group, 1), { text: 'x' }), 403, 'forbidden')
    expect(
      (await alice.call('PATCH', `/v1/conversations/${group}`, { system_messages: false })).body,
    ).toMatchObject({ system_messages: false, last_seq: 4 })
    await alice.call('PATCH', `/v1/conversations/${group}`, { title: null })
    expect((await view(alice, group)).last_seq).toBe(4)
  })
})

test('a hidden conversation is left out of the list until there is something new', async () => {
  const [one, two] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
  const chat = await one.direct(two)
  const list = async (query = '') =>
    (
      await one.call<{ conversations: Conversation[] }>('GET', `/v1/conversations${query}`)
    ).body.conversations.map(({ id }) => id)
  expect((await one.call('PATCH', `/v1/conversations/${chat}`, { hidden: true })).body.hidden).toBe(true)
  expect([await list(), await list('?hidden=true')]).toEqual([[], [chat]])
  expect((await view(two, chat)).hidden).toBe(false)
  await two.send(chat, 'there?')
  expect([await list(), await list('?hidden=true')]).toEqual([[chat], []])
  await one.call('PATCH', `/v1/conversations/${chat}`, { hidden: true })
  await one.call('PATCH', `/v1/conversations/${chat}`, { hidden: false })
  expect(await list()).toEqual([chat])
})
