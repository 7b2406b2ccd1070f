import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { HeldTransaction, waitingBackends } from './support/held-transaction.ts'
import { type Event, Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { postgres, gateway } = useGateway()
let elsewhere: Gateway
let owner: Person
let member: Person

beforeAll(async () => {
  elsewhere = await startGateway(postgres.url)
  owner = await Person.signUp(gateway.url)
  member = await Person.signUp(gateway.url)
})

afterAll(async () => {
  await elsewhere?.[Symbol.asyncDispose]()
})

const add = (group: string, who: Person) => owner.call('PUT', `/v1/conversations/${group}/members/${who.id}`)
const remove = (group: string, who: Person, by = owner) =>
  by.call('DELETE', `/v1/conversations/${group}/members/${who.id}`)
const seqsOf = async (person: Person, group: string, query = '') => {
  const path = `/v1/conversations/${group}/messages?${query}`
  return (await person.call<{ messages: Message[] }>('GET', path)).body.messages.map(({ seq }) => seq)
}
const read = async (person: Person, group: string) =>
  (await person.call<Conversation>('GET', `/v1/conversations/${group}`)).body
const listed = async (person: Person, group: string) => {
  const { body } = await person.call<{ conversations: Conversation[] }>('GET', '/v1/conversations')
  return body.conversations.find(({ id }) => id === group)
}
async function send(group: string, count: number, text = 'secret'): Promise<void> {
  for (let n = 1; n <= count; n += 1) await owner.send(group, `${text} ${n}`)
}

describe('P6 who is added later', () => {
  test('sees nothing from before, anywhere', async () => {
    const newcomer = await Person.signUp(gateway.url)
    const group = await owner.group([member])
    await send(group, 3)
    using stream = await newcomer.stream()
    await stream.waitForFrame('heartbeat')
    expect((await add(group, newcomer)).status).toBe(201)

    const path = `/v1/conversations/${group}`
    expect(await listed(newcomer, group)).toMatchObject({ last_message: null, unread_count: 0, last_seq: 3 })
    expect(await read(newcomer, group)).toMatchObject({ last_message: null, unread_count: 0 })
    for (const query of ['', 'before_seq=4', 'after_seq=0', 'around_seq=2', 'after_seq=0&limit=1']) {
      const { body, text } = await newcomer.call('GET', `${path}/messages?${query}`)
      expect(body).toEqual({ messages: [], has_more: false })
      expect(text).not.toContain('secret')
    }
    const hidden = expectProblem(await newcomer.call('GET', `${path}/messages/2`), 404, 'not_found')
    expect(expectProblem(await newcomer.call('GET', `${path}/messages/99`), 404, 'not_found')).toEqual(hidden)
    const reply = (to: number) => newcomer.call('POST', `${path}/messages`, { text: 'what?', reply_to: to })
    expect(expectProblem(await reply(2), 422, 'reply_not_found')).toEqual(
      expectProblem(await reply(99), 422, 'reply_not_found'),
    )

    await send(group, 1, 'seen')
    await until('the message', () => stream.texts().length > 0)
    expect(stream.events.map(({ type }) => type)).toEqual(['conversation.created', 'message.created'])
    expect(stream.events[1]?.message).toMatchObject({ seq: 4, text: 'seen 1' })
    expect(await seqsOf(newcomer, group, 'around_seq=4')).toEqual([4])
    expect(await read(newcomer, group)).toMatchObject({ unread_count: 1, last_message: { seq: 4 } })
    expect(JSON.stringify((await newcomer.readAll()).events)).not.toContain('secret')
    expect((await reply(4)).status).toBe(201)
    expect(await seqsOf(member, group)).toEqual([1, 2, 3, 4, 5])
  })

  test('sees everything where `history` is "all", and has none of it unread', async () => {
    const newcomer = await Person.signUp(gateway.url)
    const group = await owner.group([member], { history: 'all' })
    await send(group, 3)
    await add(group, newcomer)
    expect(await listed(newcomer, group)).toMatchObject({ last_message: { seq: 3 }, history: 'all' })
    expect(await seqsOf(newcomer, group)).toEqual([1, 2, 3])
    expect((await newcomer.call('GET', `/v1/conversations/${group}/messages/1`)).body.text).toBe('secret 1')
    const reply = { text: 'late', reply_to: 1 }
    expect((await newcomer.call('POST', `/v1/conversations/${group}/messages`, reply)).status).toBe(201)
    // Being added is not being sent what was said before.
    const types = (await newcomer.readAll()).events.map(({ type }) => type)
    expect(types).toEqual(['conversation.created', 'message.created'])
  })

  test('and again, sees nothing from between', async () => {
    const guest = await Person.signUp(gateway.url)
    const group = await owner.group([guest])
    await send(group, 1, 'first')
    await remove(group, guest)
    await send(group, 1, 'secret')
    await add(group, guest)
    await send(group, 1, 'last')
    expect(await seqsOf(guest, group)).toEqual([3])
    const { events } = await guest.readAll()
    expect(JSON.stringify(events)).not.toContain('secret')
    expect(events.at(-1)?.message?.text).toBe('last 1')
    expect((await guest.call('GET', `/v1/conversations/${group}/messages/2`)).status).toBe(404)
  })
})

describe('P6 who was removed', () => {
  const isRedacted = (event: Event) =>
    event.type === 'redacted' && Object.keys(event).sort().join() === 'at,conversation_id,id,type'

  test.each(['is removed', 'leaves'])(
    'and %s gets member.removed last, then nothing, nowhere',
    async (how) => {
      const guest = await Person.signUp(gateway.url)
      const group = await owner.group([guest, member])
      await send(group, 2)
      using here = await guest.stream()
      using there = await guest.at(elsewhere.url).stream()
      await Promise.all([here, there].map((stream) => stream.waitForFrame('heartbeat')))
      expect((await remove(group, guest, how === 'leaves' ? guest : owner)).status).toBe(204)
      await send(group, 2)
      const other = await owner.direct(guest)
      await owner.send(other, 'the end')
      for (const stream of [here, there]) {
        await until('the end', () => stream.texts().includes('the end'))
        const types = stream.events.map(({ type }) => type)
        expect(types).toEqual(['member.removed', 'conversation.created', 'message.created'])
      }

      const path = `/v1/conversations/${group}`
      const requests: [method: string, path: string, body?: unknown][] = [
        ['GET', path],
        ['GET', `${path}/messages`],
        ['GET', `${path}/messages/1`],
        ['GET', `${path}/members`],
        ['POST', `${path}/messages`, { text: 'still here?' }],
        ['PUT', `${path}/read`, { seq: 1 }],
        ['PATCH', path, { muted: true }],
        ['DELETE', `${path}/members/${guest.id}`],
      ]
      for (const [method, at, body] of requests) {
        expectProblem(await guest.call(method, at, body), 404, 'not_found')
        expectProblem(await guest.at(elsewhere.url).call(method, at, body), 404, 'not_found')
      }
      expect(await listed(guest, group)).toBeUndefined()
    },
  )

  test('reads its events again as redacted, on every transport and node, with the removal in the clear', async () => {
    const guest = await Person.signUp(gateway.url)
    const other = await owner.direct(guest)
    const group = await owner.group([guest])
    const start = (await guest.readAll()).cursor
    await send(group, 3)
    // Warms what a node remembers of the inbox.
    using before = await guest.stream(`after=${start}`)
    await before.waitForTexts(3)
    await owner.send(other, 'not secret')
    await remove(group, guest)
    await until('the removal', () => before.events.at(-1)?.type === 'member.removed')

    for (const at of [guest, guest.at(elsewhere.url)]) {
      const { events } = await at.readAll(start)
      expect(events.slice(0, 3).every(isRedacted), JSON.stringify(events)).toBe(true)
      expect(events[3]?.message?.text).toBe('not secret')
      expect(events[4]).toMatchObject({ type: 'member.removed', user_id: guest.id, conversation_id: group })
      using stream = await at.stream(`after=${start}`)
      await until('all', () => stream.events.length === 5)
      expect(stream.events).toEqual(events)
      using slice = await at.stream(`after=${start}&limit=3`)
      await slice.waitForEnd()
      expect(slice.events.every((event) => isRedacted(event as Event))).toBe(true)
      expect(JSON.stringify([...events, ...slice.frames, ...stream.frames])).not.toContain('"secret')
      const all = (await at.readAll()).events.filter((event) => event.conversation_id === group)
      expect(all.slice(0, -1).every(isRedacted)).toBe(true)
    }
  })

  test('reads them as redacted also on a stream that was opened before, and was slow', async () => {
    const guest = await Person.signUp(gateway.url)
    const group = await owner.group([guest])
    const { cursor } = await guest.readAll()
    using slow = await guest.stream(`after=${cursor}`)
    await slow.waitForFrame('heartbeat')
    slow.response.pause()
    // More than all the buffers on the way hold: the last of them cannot have left before the removal.
    const text = `secret ${'x'.repeat(8_000)}`
    const count = 1_500
    for (let n = 0; n < count; n += 100) {
      const messages = Array.from({ length: 100 }, (_, i) => ({
        ...{ conversation_id: group, client_id: `${n + i}`, text },
      }))
      expect((await owner.call('POST', '/v1/messages', { messages })).status).toBe(200)
    }
    await remove(group, guest)
    slow.response.resume()
    await until('the removal', () => slow.events.at(-1)?.type === 'member.removed')
    const types = slow.events.map(({ type }) => type)
    expect(types).toHaveLength(count + 1)
    const firstRedacted = types.indexOf('redacted')
    expect(firstRedacted).toBeGreaterThan(-1)
    expect(new Set(types.slice(firstRedacted, -1))).toEqual(new Set(['redacted']))
  })

  test.each(['conversations/{id}/messages', 'conversations/{id}/messages/1', 'search?query=walrus'])(
    'is shown nothing from behind the removal by a request that was under way: %s',
    async (path) => {
      await using database = new Database({ url: postgres.url, maxConnections: 1 })
      const guest = await Person.signUp(gateway.url)
      const group = await owner.group([guest])
      await owner.send(group, 'walrus')
      const find = () => guest.call('GET', `/v1/${path.replace('{id}', group)}`)
      await until('the message', async () => (await find()).text.includes('walrus'))
      await using removal = new HeldTransaction(postgres.url, async (tx) => {
        await tx`LOCK TABLE messages IN ACCESS EXCLUSIVE MODE`
        await tx`DELETE FROM members WHERE conversation_id = ${group} AND user_id = ${guest.id}`
        await tx`UPDATE messages SET data = '{"said":"afterwards"}' WHERE conversation_id = ${group}`
      })
      await removal.held
      const answer = find()
      await until('the read', async () => (await waitingBackends(database.sql)) > 0)
      await removal.commit()
      expect((await answer).text).not.toContain('afterwards')
    },
  )

  test('has a key answered as it was: the sender’s own message', async () => {
    const guest = await Person.signUp(gateway.url)
    const group = await owner.group([guest])
    const sent = await guest.send(group, 'mine', 'key-of-mine')
    await remove(group, guest)
    const again = await guest.send(group, 'mine', 'key-of-mine')
    expect([again.status, again.body]).toEqual([200, sent.body])
    expectProblem(await guest.send(group, 'another'), 404, 'not_found')
  })
})
