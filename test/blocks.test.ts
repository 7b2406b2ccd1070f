import { describe, expect, test } from 'vitest'
import type { User } from '../src/protocol/types.ts'
import { Person } from './support/person.ts'
import { expectProblem, expectStanding } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()

type Blocked = { users: User[]; next: string | null }
type Result = {
  status: number
  code?: string
  recipients: { user_id: string; status: number; code?: string }[]
}

const block = (by: Person, who: string) => by.call('PUT', `/v1/users/me/blocks/${encodeURIComponent(who)}`)
const unblock = (by: Person, who: string) => by.call('DELETE', `/v1/users/me/blocks/${who}`)
const start = (by: Person, who: Person) =>
  by.call('POST', '/v1/conversations', { kind: 'direct', members: [who.id] })
const multicast = async (by: Person, to: Person[], client_id: string) => {
  const messages = [{ to: to.map(({ id }) => id), text: 'hello', client_id }]
  return (await by.call<{ results: Result[] }>('POST', '/v1/messages', { messages })).body.results[0]
}

describe('the list of those I block', () => {
  test('holds each once, is mine alone, and is given in pages', async () => {
    const me = await Person.signUp(gateway.url)
    const others = await Promise.all([1, 2, 3].map(() => Person.signUp(gateway.url)))
    const list = async (by: Person, query = '') =>
      (await by.call<Blocked>('GET', `/v1/users/me/blocks${query}`)).body
    expect(await list(me)).toEqual({ users: [], next: null })
    for (const other of [...others, ...others]) {
      const answer = await block(me, other.id)
      expect([answer.status, answer.text]).toEqual([204, ''])
      expectStanding(answer)
    }
    const all = others.map(({ session }) => session.user).sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(await list(me)).toEqual({ users: all, next: null })
    const first = await list(me, '?limit=2')
    expect(first).toEqual({ users: all.slice(0, 2), next: all[1]?.id })
    expect(await list(me, `?limit=2&after=${first.next}`)).toEqual({ users: all.slice(2), next: null })
    expect((await list(others[0] as Person)).users).toEqual([])
    for (const _ of [1, 2]) expect((await unblock(me, others[0]?.id ?? '')).status).toBe(204)
    expect((await list(me)).users).toHaveLength(2)
  })

  test('takes nobody who is not there, and not me', async () => {
    const me = await Person.signUp(gateway.url)
    expectProblem(await block(me, 'nobody'), 404, 'not_found')
    expectProblem(await block(me, 'x'.repeat(129)), 404, 'not_found')
    expectProblem(await block(me, me.id), 422, 'validation_failed')
    expect((await unblock(me, 'nobody')).status).toBe(204)
  })
})

describe('who is blocked', () => {
  test('cannot start a direct conversation, nor find one that is there, until unblocked', async () => {
    const [me, other] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    await block(me, other.id)
    expectProblem(await start(other, me), 403, 'blocked')
    expect((await me.readAll()).events).toEqual([])
    // The one who blocks may: only the blocked one is refused.
    expect((await start(me, other)).status).toBe(201)
    expectProblem(await start(other, me), 403, 'blocked')
    await unblock(me, other.id)
    expect((await start(other, me)).status).toBe(200)
  })

  test('cannot continue one, alone, in a batch or by multicast; what was sent before stays sent', async () => {
    const [me, other] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const chat = await other.direct(me)
    const sent = await other.send(chat, 'before', 'key-before')
    const many = await multicast(other, [me], 'many-before')
    await block(me, other.id)
    const events = (await me.readAll()).events.length
    expectProblem(await other.send(chat, 'after'), 403, 'blocked')
    expect(await multicast(other, [me], 'many-after')).toMatchObject({
      ...{ status: 403, code: 'blocked', recipients: [{ user_id: me.id, status: 403, code: 'blocked' }] },
    })
    const messages = [{ conversation_id: chat, text: 'after', client_id: 'batch-after' }]
    const batch = await other.call<{ results: Result[] }>('POST', '/v1/messages', { messages })
    expect(batch.body.results).toEqual([{ status: 403, code: 'blocked' }])
    expect((await other.send(chat, 'before', 'key-before')).body).toEqual(sent.body)
    expect((await multicast(other, [me], 'many-before'))?.recipients).toMatchObject([
      { ...many?.recipients[0], status: 200 },
    ])
    expect((await me.readAll()).events).toHaveLength(events)
    expect((await me.send(chat, 'I may')).status).toBe(201)
    await unblock(me, other.id)
    expect((await other.send(chat, 'again')).status).toBe(201)
  })

  test('cannot continue one by an edit or a reaction either, nor be seen typing; what was said can be taken back', async () => {
    const [me, other] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const chat = await other.direct(me)
    await other.send(chat, 'before')
    await me.send(chat, 'answer')
    const message = (seq: number) => `/v1/conversations/${chat}/messages/${seq}`
    const reaction = `${message(2)}/reactions/${encodeURIComponent('👍')}`
    const typing = `/v1/conversations/${chat}/typing`
    expect((await other.call('PUT', reaction)).status).toBe(204)
    await block(me, other.id)
    using stream = await me.stream()
    await stream.waitForFrame('heartbeat')
    expectProblem(await other.call('PATCH', message(1), { text: 'after' }), 403, 'blocked')
    expectProblem(
      await other.call('PUT', `${message(1)}/reactions/${encodeURIComponent('👎')}`),
      403,
      'blocked',
    )
    expect((await other.call('POST', typing)).status).toBe(204)
    expect((await other.call('DELETE', reaction)).status).toBe(204)
    expect((await other.call('DELETE', message(1))).status).toBe(204)
    await until('the deletion', () => stream.events.some(({ type }) => type === 'message.deleted'))
    expect(stream.passing('typing')).toEqual([])
    expect((await me.call('PATCH', message(2), { text: 'I may' })).status).toBe(200)
    using theirs = await other.stream()
    await theirs.waitForFrame('heartbeat')
    expect((await me.call('POST', typing)).status).toBe(204)
    await until('me, typing', () => theirs.passing('typing')[0])
  })

  test('is refused alone among the recipients of a multicast', async () => {
    const [me, other, third] = await Promise.all([1, 2, 3].map(() => Person.signUp(gateway.url)))
    if (!me || !other || !third) throw new Error('nobody')
    await block(me, other.id)
    const result = await multicast(other, [me, third], 'to-both')
    expect(result?.status).toBe(201)
    expect(result?.recipients).toMatchObject([
      { user_id: me.id, status: 403, code: 'blocked' },
      { user_id: third.id, status: 201 },
    ])
    expect(await multicast(other, [me], 'to-one')).toMatchObject({ status: 403, code: 'blocked' })
    expect((await me.readAll()).events).toEqual([])
    expect(await multicast(me, [other], 'back')).toMatchObject({ status: 201 })
  })

  test('may still be in a group with the other, and write there', async () => {
    const [me, other] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const group = await me.group([other])
    await block(me, other.id)
    expect((await other.send(group, 'hello all')).status).toBe(201)
    expect((await other.call('POST', '/v1/conversations', { kind: 'group', members: [me.id] })).status).toBe(
      201,
    )
  })
})
