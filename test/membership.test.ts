import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import type { Conversation, Member, Message } from '../src/protocol/types.ts'
import { startGateway } from './support/gateway.ts'
import { type Event, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { expectProblem } from './support/problem.ts'
import { until } from './support/wait.ts'

let postgres: TestPostgres
let gateway: Gateway
let owner: Person
let admin: Person
let member: Person
let guest: Person

beforeAll(async () => {
  postgres = await startPostgres()
  gateway = await startGateway(postgres.url, { groupLimit: 5 })
  owner = await Person.signUp(gateway.url)
  admin = await Person.signUp(gateway.url)
  member = await Person.signUp(gateway.url)
  guest = await Person.signUp(gateway.url)
})

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

const memberPath = (group: string, who: Person | string) =>
  `/v1/conversations/${group}/members/${typeof who === 'string' ? who : who.id}`
const put = (by: Person, group: string, who: Person, role?: string) =>
  by.call('PUT', memberPath(group, who), role === undefined ? undefined : { role })
const remove = (by: Person, group: string, who: Person | string) => by.call('DELETE', memberPath(group, who))
const membersOf = async (by: Person, group: string) =>
  (await by.call<{ members: Member[] }>('GET', `/v1/conversations/${group}/members`)).body.members
const rolesOf = async (by: Person, group: string) =>
  Object.fromEntries((await membersOf(by, group)).map(({ user_id, role }) => [user_id, role]))
/** A group with an owner, an admin and a member. */
async function ranked(more: object = {}): Promise<string> {
  const group = await owner.group([admin, member], more)
  await put(owner, group, admin, 'admin')
  return group
}
/** Somebody's events of one conversation. */
async function eventsOf(person: Person, group: string, after = '0'): Promise<Event[]> {
  return (await person.readAll(after)).events.filter((event) => event.conversation_id === group)
}

describe('a direct conversation', () => {
  test('is the same one whoever asks again, also both at once', async () => {
    const [a, b] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const ask = (by: Person, other: Person) =>
      by.call<Conversation>('POST', '/v1/conversations', { kind: 'direct', members: [other.id] })
    const first = await Promise.all([ask(a, b), ask(b, a), ask(a, b), ask(b, a)])
    expect(first.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201])
    const again = await ask(b, a)
    expect(again.status).toBe(200)
    expect(new Set([...first, again].map(({ body }) => body.id)).size).toBe(1)
    expect(again.body).toMatchObject({
      kind: 'direct',
      members_count: 2,
      peer: a.session.user,
      role: 'member',
    })
    const types = (await a.readAll()).events.map(({ type }) => type)
    expect(types).toEqual(['conversation.created'])
  })

  test('is between two who exist', async () => {
    const ask = (members: string[]) => owner.call('POST', '/v1/conversations', { kind: 'direct', members })
    for (const members of [[], [owner.id], [member.id, admin.id]]) {
      expectProblem(await ask(members), 422, 'validation_failed')
    }
    expectProblem(await ask(['nobody']), 422, 'user_not_found')
    expect((await ask([member.id, owner.id])).status).toBe(201)
  })

  test('has the members it has', async () => {
    const chat = await owner.direct(member)
    expectProblem(await put(owner, chat, guest), 422, 'direct_conversation')
    expectProblem(await remove(owner, chat, member), 422, 'direct_conversation')
    expectProblem(await remove(owner, chat, 'me'), 422, 'direct_conversation')
  })
})

describe('a group', () => {
  test('has its maker as owner; everybody learns of it', async () => {
    const body = { kind: 'group', members: [member.id, member.id, owner.id], title: 'Tea', data: { a: 1 } }
    const made = await owner.call<Conversation>('POST', '/v1/conversations', body)
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      ...{ kind: 'group', title: 'Tea', data: { a: 1 }, role: 'owner', members_count: 2, history: 'joined' },
      ...{ last_seq: 0, last_message: null, read_seq: 0, unread_count: 0, mention_count: 0, muted: false },
    })
    expect(await rolesOf(member, made.body.id)).toEqual({ [owner.id]: 'owner', [member.id]: 'member' })
    const [event] = await eventsOf(member, made.body.id)
    const { id, title, data, kind, created_at, system_messages, last_seq, members_count, history } = made.body
    expect(event?.type).toBe('conversation.created')
    expect(event?.conversation).toEqual({
      id,
      title,
      data,
      kind,
      created_at,
      last_seq,
      members_count,
      history,
      system_messages,
    })
  })

  test('of people who do not exist is not made', async () => {
    const before = (await owner.readAll()).cursor
    const body = { kind: 'group', members: [member.id, 'nobody'] }
    expectProblem(await owner.call('POST', '/v1/conversations', body), 422, 'user_not_found')
    expect((await owner.readAll()).cursor).toBe(before)
  })

  test('is full at the limit, at its making, by adding, and by many at once', async () => {
    const people = await Promise.all(Array.from({ length: 5 }, () => Person.signUp(gateway.url)))
    const ids = people.map(({ id }) => id)
    const tooMany = await owner.call('POST', '/v1/conversations', { kind: 'group', members: ids })
    expectProblem(tooMany, 422, 'group_full')
    const group = await owner.group([member])
    const added = await Promise.all(people.map((each) => put(owner, group, each)))
    expect(added.map(({ status }) => status).sort()).toEqual([201, 201, 201, 422, 422])
    for (const answer of added.filter(({ status }) => status === 422))
      expectProblem(answer, 422, 'group_full')
    expect(await membersOf(owner, group)).toHaveLength(5)
  })

  test('of 101 is full where nothing else is configured', async () => {
    await using usual = await startGateway(postgres.url)
    const members = Array.from({ length: 100 }, (_, n) => `nobody-${n}`)
    const at = owner.at(usual.url)
    expectProblem(await at.call('POST', '/v1/conversations', { kind: 'group', members }), 422, 'group_full')
    const one = await at.call('POST', '/v1/conversations', { kind: 'group', members: members.slice(1) })
    expectProblem(one, 422, 'user_not_found')
  })

  test('is changed by owner and admins, muted by each for themselves', async () => {
    const group = await ranked()
    const path = `/v1/conversations/${group}`
    const after = (await member.readAll()).cursor
    expect((await owner.call('PATCH', path, { title: 'One' })).body.title).toBe('One')
    expect((await admin.call('PATCH', path, { data: { b: 2 } })).body).toMatchObject({
      title: 'One',
      data: { b: 2 },
    })
    expectProblem(await member.call('PATCH', path, { title: 'Two' }), 403, 'forbidden')
    expectProblem(await member.call('PATCH', path, { data: {}, muted: true }), 403, 'forbidden')
    expect((await member.call('GET', path)).body.muted).toBe(false)
    expect((await member.call('PATCH', path, { muted: true })).body.muted).toBe(true)
    expect((await owner.call('GET', path)).body.muted).toBe(false)
    const events = await eventsOf(member, group, after)
    // The last one is for their own devices.
    const types = ['conversation.updated', 'conversation.updated', 'member.updated']
    expect(events.map(({ type }) => type)).toEqual(types)
    expect(events[1]?.conversation).toMatchObject({ id: group, title: 'One', data: { b: 2 } })
    expect(events[1]?.conversation).not.toHaveProperty('muted')
    expect(events[2]).toMatchObject({ user_id: member.id, role: 'member', muted: true, hidden: false })
    expect((await eventsOf(owner, group)).filter((event) => 'muted' in event)).toEqual([])
  })

  test('lets owner and admins add, the owner alone make admins', async () => {
    const group = await ranked()
    expectProblem(await put(member, group, guest), 403, 'forbidden')
    expectProblem(await put(admin, group, guest, 'admin'), 403, 'forbidden')
    expectProblem(await put(admin, group, member, 'admin'), 403, 'forbidden')
    expectProblem(await put(admin, group, admin, 'owner'), 403, 'forbidden')
    expectProblem(await put(owner, group, guest, 'king'), 422, 'validation_failed')
    expectProblem(await owner.call('PUT', memberPath(group, 'nobody')), 404, 'not_found')
    const after = (await member.readAll()).cursor
    const added = await put(admin, group, guest)
    expect(added.status).toBe(201)
    expect(added.body).toMatchObject({ user_id: guest.id, role: 'member' })
    expect((await put(admin, group, guest)).status).toBe(200)
    expect(await eventsOf(member, group, after)).toEqual([
      expect.objectContaining({ type: 'member.added', user_id: guest.id, role: 'member', members_count: 4 }),
    ])
    expect((await put(owner, group, guest, 'admin')).body.role).toBe('admin')
    expect((await eventsOf(member, group, after)).at(-1)).toMatchObject({
      ...{ type: 'member.updated', user_id: guest.id, role: 'admin', members_count: 4 },
    })
  })

  test('is handed over: one owner, the old one an admin', async () => {
    const group = await ranked()
    expect((await put(owner, group, member, 'owner')).status).toBe(200)
    expect(await rolesOf(owner, group)).toEqual({
      [owner.id]: 'admin',
      [admin.id]: 'admin',
      [member.id]: 'owner',
    })
    expectProblem(await put(owner, group, admin, 'member'), 403, 'forbidden')
  })

  test('loses members by those above them; leaving is everybody’s right', async () => {
    const group = await ranked()
    await put(owner, group, guest)
    for (const [by, who] of [
      [member, guest],
      [member, admin],
      [admin, owner],
      [member, owner],
    ] as const) {
      expectProblem(await remove(by, group, who), 403, 'forbidden')
    }
    expectProblem(await remove(owner, group, 'nobody'), 404, 'not_found')
    expect((await remove(admin, group, guest)).status).toBe(204)
    expectProblem(await remove(admin, group, guest), 404, 'not_found')
    expect((await remove(member, group, member)).status).toBe(204)
    expect((await remove(owner, group, owner)).status).toBe(204)
    // Somebody has to be the owner.
    expect(await rolesOf(admin, group)).toEqual({ [admin.id]: 'owner' })
    expect((await eventsOf(admin, group)).slice(-2)).toMatchObject([
      { type: 'member.removed', user_id: owner.id, members_count: 1 },
      { type: 'member.updated', user_id: admin.id, role: 'owner', members_count: 1 },
    ])
  })

  test('P4 all members see one order, however many send at once', async () => {
    const group = await ranked()
    using stream = await admin.stream()
    await stream.waitForFrame('heartbeat')
    const sending = [owner, admin, member].flatMap((each, n) =>
      Array.from({ length: 20 }, (_, i) => each.send(group, `${n}-${i}`)),
    )
    const seqs = (await Promise.all(sending)).map(({ body }) => body.seq)
    expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n + 1))
    const orders = await Promise.all(
      [owner, admin, member].map(async (each) =>
        (await eventsOf(each, group)).flatMap(({ message }) => (message ? [message.text] : [])),
      ),
    )
    const { body } = await member.call<{ messages: Message[] }>(
      'GET',
      `/v1/conversations/${group}/messages?limit=200`,
    )
    expect(orders).toEqual(Array(3).fill(body.messages.map(({ text }) => text)))
    await until('the stream', () => stream.texts().length >= 60)
    expect(stream.texts()).toEqual(orders[0])
  })
})
