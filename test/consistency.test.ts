import { afterAll, expect, test } from 'vitest'
import { logEvent } from '../src/protocol/schemas.ts'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { Random } from './chaos/random.ts'
import { ClientState } from './support/client-state.ts'
import { Person } from './support/person.ts'
import { useGateway, useOtherGateway } from './support/suite.ts'

const { gateway, postgres } = useGateway()
const other = useOtherGateway(postgres)

afterAll(async () => {
  await using database = new Database({ url: postgres.url, maxConnections: 1 })
  const [row] = await database.sql`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`
  expect(row?.deadlocks).toBe(0)
})

const EMOJIS = ['👍', '❤️', '🎉', '🇨🇭', '👩‍🚀']
const ROUNDS = 12
/** As many acts go on at once, on two nodes. */
const AT_ONCE = 4
const ACTS_PER_ROUND = 16

/** Some people in the same few conversations, doing whatever one may do there. */
class Crowd {
  readonly people: Person[]
  readonly #rooms: string[] = []
  readonly #random: Random
  readonly #marks = new Map<string, number>()

  constructor(people: Person[], random: Random) {
    this.people = people
    this.#random = random
  }

  async begin(): Promise<void> {
    const [one, two, ...others] = this.people as [Person, Person]
    this.#rooms.push(await one.direct(two))
    this.#rooms.push(await one.group([two, ...others], { system_messages: true }))
    this.#rooms.push(await two.group([one], { history: 'all', title: 'All' }))
  }

  /** One act of somebody; many are refused, since whoever does it may not. */
  async act(): Promise<void> {
    const { person, room, path } = this.#somewhere()
    const seq = 1 + this.#random.below(Math.max(await this.#lastSeq(room), 1))
    const message = `${path}/messages/${seq}`
    const reaction = `${message}/reactions/${encodeURIComponent(this.#random.pick(EMOJIS))}`
    const other = this.#random.pick(this.people)
    const acts: (() => Promise<unknown>)[] = [
      () => person.send(room, this.#text(other)),
      () => Promise.all([1, 2, 3].map(() => person.send(room, this.#text(other)))),
      () => person.call('PATCH', message, { text: this.#text(other) }),
      () => person.call('DELETE', message),
      () => person.call('PUT', reaction),
      () => person.call('DELETE', reaction),
      () => person.call('PUT', `${path}/read`, { seq }),
      () => person.call('PATCH', path, { title: `Title ${this.#random.below(99)}` }),
      () =>
        person.call('PATCH', path, {
          muted: this.#random.below(2) === 0,
          hidden: this.#random.below(2) === 0,
        }),
      () =>
        person.call('PUT', `${path}/members/${other.id}`, { role: this.#random.pick(['admin', 'member']) }),
      () => person.call('DELETE', `${path}/members/${other.id}`),
      () => person.call('PUT', `${path}/members/${other.id}`),
    ]
    await this.#random.pick(acts)()
  }

  /** Counts as they are by definition, and read marks that never moved back. */
  async expectRight(
    person: Person,
    { id, read_seq, unread_count, mention_count }: Conversation,
  ): Promise<void> {
    const path = `/v1/conversations/${id}/messages?limit=200&after_seq=${read_seq}`
    const { body } = await person.call<{ messages: Message[] }>('GET', path)
    const unread = body.messages.filter((message) => message.sender_id !== person.id)
    const mentions = unread.filter((message) => message.mentions.includes(person.id))
    expect([unread_count, mention_count]).toEqual([unread.length, mentions.length])
    const mark = `${person.id} ${id}`
    expect(read_seq).toBeGreaterThanOrEqual(this.#marks.get(mark) ?? 0)
    this.#marks.set(mark, read_seq)
  }

  #somewhere() {
    const room = this.#random.pick(this.#rooms)
    const person = this.#random.pick(this.people)
    const node = this.#random.pick([gateway, other])
    return { person: person.at(node.url), room, path: `/v1/conversations/${room}` }
  }

  async #lastSeq(room: string): Promise<number> {
    const views = this.people.map((person) => person.call<Conversation>('GET', `/v1/conversations/${room}`))
    return Math.max(0, ...(await Promise.all(views)).map(({ body }) => body.last_seq ?? 0))
  }

  #text(other: Person): string {
    return this.#random.below(2) === 0
      ? 'hello'
      : `hello @${other.session.user.username}, ${this.#random.below(99)}`
  }
}

async function snapshot(person: Person) {
  const lists = await Promise.all(
    ['false', 'true'].map((hidden) =>
      person.call<{ conversations: Conversation[]; cursor: string }>(
        'GET',
        `/v1/conversations?hidden=${hidden}`,
      ),
    ),
  )
  const all = lists.flatMap(({ body }) => body.conversations)
  return { all, cursor: lists[0]?.body.cursor }
}

/** By id; of a peer only who it is, as a profile has no events. */
function comparable(conversations: Iterable<Partial<Conversation>>) {
  return Object.fromEntries(
    [...conversations].map((each) => [each.id, { ...each, ...(each.peer && { peer: each.peer.id }) }]),
  )
}

test.each([1, 2, 3])(
  'applying events gives what a reload gives, and counts are right: seed %i',
  async (seed) => {
    const people = await Promise.all([1, 2, 3, 4].map(() => Person.signUp(gateway.url)))
    const crowd = new Crowd(people, new Random(seed))
    await crowd.begin()
    const live = people.map((person) => ({ person, state: new ClientState(person.id), cursor: '0' }))
    for (let round = 0; round < ROUNDS; round += 1) {
      for (let acts = 0; acts < ACTS_PER_ROUND; acts += AT_ONCE)
        await Promise.all(Array.from({ length: AT_ONCE }, () => crowd.act()))
      for (const client of live) {
        const { all, cursor } = await snapshot(client.person)
        const news = await client.person.readAll(client.cursor)
        expect(news.cursor).toBe(cursor)
        for (const event of news.events) {
          // Documented to the last field.
          expect(logEvent.parse(event)).toEqual(event)
          client.state.apply(event)
        }
        client.cursor = news.cursor
        const late = new ClientState(client.person.id)
        for (const event of (await client.person.readAll()).events) late.apply(event)
        expect(comparable(client.state.conversations.values())).toEqual(comparable(all))
        expect(comparable(late.conversations.values())).toEqual(comparable(all))
        for (const conversation of all) await crowd.expectRight(client.person, conversation)
      }
    }
  },
)
