import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import type { Conversation, Message, User } from '../src/protocol/types.ts'
import { ADMIN_TOKEN, BackEnd } from './support/back-end.ts'
import { startGateway } from './support/gateway.ts'
import { call, Person } from './support/person.ts'
import { expectProblem, expectStanding } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { postgres, gateway } = useGateway({ adminToken: ADMIN_TOKEN })
let elsewhere: Gateway
let backEnd: BackEnd

beforeAll(async () => {
  elsewhere = await startGateway(postgres.url, { adminToken: ADMIN_TOKEN })
  backEnd = new BackEnd(gateway.url)
})

afterAll(async () => {
  await elsewhere?.[Symbol.asyncDispose]()
})

describe('the admin API', () => {
  test('is not there without an ADMIN_TOKEN, whatever is sent', async () => {
    await using closed = await startGateway(postgres.url)
    const nothing = expectProblem(await call(closed.url, 'GET', '/v1/nothing'), 404, 'not_found')
    for (const [method, path] of [
      ['POST', '/users'],
      ['GET', '/usage'],
      ['PUT', '/broadcasts'],
    ]) {
      const answer = await new BackEnd(closed.url).call(method ?? '', path ?? '')
      expect(expectProblem(answer, 404, 'not_found')).toEqual(nothing)
    }
  })

  test('takes nothing but its token', async () => {
    const person = await Person.signUp(gateway.url)
    const ask = (headers: Record<string, string>) => call(gateway.url, 'GET', '/v1/admin/usage', { headers })
    expectProblem(await ask({}), 401, 'unauthenticated')
    expectProblem(await ask({ authorization: ADMIN_TOKEN }), 401, 'unauthenticated')
    for (const token of [`${ADMIN_TOKEN}x`, ADMIN_TOKEN.slice(1), 'x', person.session.access_token]) {
      expectProblem(await ask({ authorization: `Bearer ${token}` }), 401, 'token_invalid')
    }
    expect((await ask({ authorization: `bearer ${ADMIN_TOKEN}` })).status).toBe(200)
    const admin = { authorization: `Bearer ${ADMIN_TOKEN}` }
    expectProblem(await call(gateway.url, 'GET', '/v1/users/me', { headers: admin }), 401, 'token_invalid')
  })

  test('judges nothing of a request before its token', async () => {
    const body = 'not json'
    expectProblem(await call(gateway.url, 'POST', '/v1/admin/users', { body }), 401, 'unauthenticated')
    expectProblem(await backEnd.call('POST', '/users', body), 400, 'malformed_json')
  })
})

describe('users', () => {
  test('have ids of the product’s own, whatever they look like', async () => {
    for (const id of ['crm:42', 'Zoë/Ø ü%,.*> 1', '../x', 'a'.repeat(128), '🦆'.repeat(128)]) {
      const made = await backEnd.call<User>('POST', '/users', {
        id,
        display_name: `Name of ${id.slice(0, 20)}`,
        data: { tier: 'gold' },
      })
      expect([made.status, made.body]).toEqual([
        201,
        {
          id,
          username: null,
          display_name: `Name of ${id.slice(0, 20)}`,
          created_at: expect.stringMatching(/Z$/),
          data: { tier: 'gold' },
        },
      ])
      expectStanding(made)
      const path = `/users/${encodeURIComponent(id)}`
      expect((await backEnd.call('GET', path)).body).toEqual(made.body)
      expectProblem(await backEnd.call('POST', '/users', { id, display_name: 'Twin' }), 409, 'user_id_taken')
      const person = await backEnd.signIn(id)
      expect((await person.call('GET', '/v1/users/me')).body).toEqual(made.body)
      expect((await person.call('GET', `/v1${path}`)).body).toEqual(made.body)
      using stream = await person.stream()
      await stream.waitForFrame('heartbeat')
      const sender = await Person.signUp(gateway.url)
      await sender.send(await sender.direct(person), 'hello')
      expect(await stream.waitForTexts(1)).toEqual(['hello'])
    }
    for (const id of ['', 'me', '.', '..', 'a'.repeat(129), 'a\0b', 7]) {
      expectProblem(await backEnd.call('POST', '/users', { id, display_name: 'X' }), 422, 'validation_failed')
    }
  })

  test('may have a username and a password, and sign in with them', async () => {
    const made = { username: 'Product.User', display_name: 'P', password: 'correct horse' }
    const { body } = await backEnd.call<User>('POST', '/users', made)
    const signIn = (password: string) =>
      call<Person['session']>(gateway.url, 'POST', '/v1/sessions', {
        body: { username: 'product.user', password },
      })
    expect((await signIn('correct horse')).body.user).toEqual(body)
    const twin = { ...made, username: 'PRODUCT.user' }
    expectProblem(await backEnd.call('POST', '/users', twin), 409, 'username_taken')

    const device = new Person(gateway.url, (await signIn('correct horse')).body)
    using stream = await device.stream()
    const change = { password: 'battery staple', display_name: 'Q', data: { a: 1 }, username: 'other' }
    const changed = await backEnd.call<User>('PATCH', `/users/${body.id}`, change)
    expect(changed.body).toMatchObject({ id: body.id, display_name: 'Q', data: { a: 1 }, username: 'other' })
    await stream.waitForEnd()
    expectProblem(await device.call('GET', '/v1/users/me'), 401, 'signed_out')
    expectProblem(await signIn('battery staple'), 401, 'bad_credentials')
    const again = { username: 'other', password: 'battery staple' }
    expect((await call(gateway.url, 'POST', '/v1/sessions', { body: again })).status).toBe(201)
    const none = await backEnd.call('PATCH', `/users/${body.id}`, { username: null, password: null })
    expect(none.body).toMatchObject({ username: null, display_name: 'Q' })
    expectProblem(await call(gateway.url, 'POST', '/v1/sessions', { body: again }), 401, 'bad_credentials')
    expectProblem(await backEnd.call('PATCH', '/users/nobody', { display_name: 'X' }), 404, 'not_found')
    expectProblem(await backEnd.call('GET', '/users/nobody'), 404, 'not_found')
  })

  test('are made once per Idempotency-Key, also where two come at once', async () => {
    const key = { 'idempotency-key': 'make-user-1' }
    const make = () => backEnd.call<User>('POST', '/users', { id: 'once', display_name: 'Once' }, key)
    const answers = await Promise.all([make(), make(), make()])
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed')).length).toBe(2)
    const other = await backEnd.call('POST', '/users', { id: 'twice', display_name: 'Once' }, key)
    expectProblem(other, 422, 'idempotency_mismatch')
  })
})

describe('devices', () => {
  test('are listed and signed out, one or all, on every node', async () => {
    const [one, other] = [
      await backEnd.person({ id: 'devices', display_name: 'D' }),
      await backEnd.signIn('devices'),
    ]
    const named = await backEnd.call('POST', '/users/devices/sessions', { device_name: 'kiosk' })
    expect(named.body).toMatchObject({ user: { id: 'devices' }, token_type: 'Bearer', expires_in: 900 })
    const { body } = await backEnd.call<{ sessions: { device_id: string; name: string | null }[] }>(
      'GET',
      '/users/devices/sessions',
    )
    expect(body.sessions.map(({ device_id, name }) => [device_id, name])).toEqual([
      [named.body.device_id, 'kiosk'],
      [other.session.device_id, null],
      [one.session.device_id, null],
    ])
    using first = await one.stream()
    using second = await other.at(elsewhere.url).stream()
    const path = `/users/devices/sessions/${one.session.device_id}`
    expect((await backEnd.call('DELETE', path)).status).toBe(204)
    expectProblem(await backEnd.call('DELETE', path), 404, 'not_found')
    await first.waitForEnd()
    expect(second.ended).toBe(false)
    const began = performance.now()
    expect((await backEnd.call('DELETE', '/users/devices/sessions')).status).toBe(204)
    await second.waitForEnd()
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(second.named('bye')[0]?.data).toContain('signed_out')
    for (const base of [gateway.url, elsewhere.url]) {
      expectProblem(await other.at(base).call('GET', '/v1/users/me'), 401, 'signed_out')
    }
    const refresh_token = other.session.refresh_token
    const refresh = await call(gateway.url, 'POST', '/v1/sessions/refresh', { body: { refresh_token } })
    expectProblem(refresh, 401, 'token_invalid')
    expectProblem(await backEnd.call('DELETE', '/users/nobody/sessions'), 404, 'not_found')
    expectProblem(await backEnd.call('GET', '/users/nobody/sessions'), 404, 'not_found')
    expectProblem(await backEnd.call('POST', '/users/nobody/sessions'), 404, 'not_found')
  })
})

describe('conversations', () => {
  const shared = (id: string) => backEnd.call<Conversation>('GET', `/conversations/${id}`)

  test('are made for others: a direct one once, a group with an owner or without', async () => {
    const [anna, ben, cleo] = [
      await Person.signUp(gateway.url),
      await Person.signUp(gateway.url),
      await Person.signUp(gateway.url),
    ]
    const direct = { kind: 'direct', members: [anna.id, ben.id] }
    const made = await backEnd.call<Conversation>('POST', '/conversations', direct)
    expect([made.status, made.body.kind, made.body.members_count]).toEqual([201, 'direct', 2])
    expect((await backEnd.call('POST', '/conversations', direct)).status).toBe(200)
    expect(await ben.direct(anna)).toBe(made.body.id)
    for (const members of [[anna.id], [anna.id, anna.id], [anna.id, ben.id, cleo.id]]) {
      const answer = await backEnd.call('POST', '/conversations', { kind: 'direct', members })
      expectProblem(answer, 422, 'validation_failed')
    }
    expectProblem(
      await backEnd.call('POST', '/conversations', { kind: 'direct', members: ['nobody', anna.id] }),
      422,
      'user_not_found',
    )

    const group = {
      ...{ kind: 'group', members: [anna.id, ben.id], title: 'Order 7', data: { order: 7 }, history: 'all' },
    }
    const owned = await backEnd.call<Conversation>('POST', '/conversations', { ...group, owner: cleo.id })
    expect(owned.body).toMatchObject({
      title: 'Order 7',
      data: { order: 7 },
      history: 'all',
      members_count: 3,
    })
    expect((await cleo.call('GET', `/v1/conversations/${owned.body.id}`)).body.role).toBe('owner')
    const ownerless = await backEnd.call<Conversation>('POST', '/conversations', group)
    for (const person of [anna, ben]) {
      const seen = await person.call('GET', `/v1/conversations/${ownerless.body.id}`)
      expect(seen.body).toMatchObject({ role: 'member', title: 'Order 7' })
      const types = (await person.readAll()).events.map(({ type }) => type)
      expect(types.filter((type) => type === 'conversation.created')).toHaveLength(3)
    }
    expect((await shared(ownerless.body.id)).body).toEqual(ownerless.body)
    expectProblem(await shared('0190e2e6-0000-7000-8000-000000000000'), 404, 'not_found')
    const tooMany = { kind: 'group', members: Array.from({ length: 101 }, (_, n) => `u${n}`) }
    expectProblem(await backEnd.call('POST', '/conversations', tooMany), 422, 'group_full')
  })

  test('are changed, and members come and go', async () => {
    const [anna, ben] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const group = await anna.group([])
    const member = `/conversations/${group}/members/${ben.id}`
    using stream = await anna.stream('after=0')
    expect((await backEnd.call('PUT', member)).body).toMatchObject({ user_id: ben.id, role: 'member' })
    expect((await backEnd.call('PUT', member, { role: 'admin' })).status).toBe(200)
    const changed = await backEnd.call('PATCH', `/conversations/${group}`, { title: 'New', data: { a: 1 } })
    expect(changed.body).toMatchObject({ title: 'New', data: { a: 1 } })
    const own = `/conversations/${group}/members/${anna.id}`
    expectProblem(await backEnd.call('PUT', own, { role: 'member' }), 403, 'forbidden')
    expect((await backEnd.call('PUT', member, { role: 'owner' })).body).toMatchObject({ role: 'owner' })
    const { body } = await backEnd.call<{ members: { user_id: string; role: string }[] }>(
      'GET',
      `/conversations/${group}/members`,
    )
    expect(body.members.map(({ user_id, role }) => [user_id, role])).toEqual([
      [anna.id, 'admin'],
      [ben.id, 'owner'],
    ])
    expect((await backEnd.call('DELETE', member)).status).toBe(204)
    expectProblem(await backEnd.call('DELETE', member), 404, 'not_found')
    expectProblem(await ben.call('GET', `/v1/conversations/${group}`), 404, 'not_found')
    await until('all events', () => stream.events.length >= 7)
    expect(stream.events.map(({ type }) => type)).toEqual([
      ...['conversation.created', 'member.added', 'member.updated', 'conversation.updated'],
      ...['member.updated', 'member.updated', 'member.removed'],
      // The heir.
      'member.updated',
    ])
    const direct = await anna.direct(ben)
    const title = await backEnd.call('PATCH', `/conversations/${direct}`, { title: 'x' })
    expectProblem(title, 422, 'direct_conversation')
    expectProblem(
      await backEnd.call('DELETE', `/conversations/${direct}/members/${ben.id}`),
      422,
      'direct_conversation',
    )
    const nobody = await backEnd.call('PUT', `/conversations/${group}/members/nobody`)
    expectProblem(nobody, 404, 'not_found')
  })
})

describe('messages', () => {
  test('are sent as a user, with the user’s own keys', async () => {
    const [anna, ben] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const chat = await anna.direct(ben)
    const path = `/conversations/${chat}/messages`
    const message = { sender_id: anna.id, text: 'by the shop', client_id: 'order-7', data: { order: 7 } }
    const sent = await backEnd.call<Message>('POST', path, message)
    expect(sent.body).toMatchObject({ sender_id: anna.id, kind: 'user', seq: 1, data: { order: 7 } })
    const again = await backEnd.call('POST', path, message)
    expect([again.status, again.body, again.headers.get('idempotent-replayed')]).toEqual([
      200,
      sent.body,
      'true',
    ])
    const own = await anna.call(
      'POST',
      `/v1${path}`,
      { text: 'by the shop', data: { order: 7 } },
      { 'idempotency-key': 'order-7' },
    )
    expect([own.status, own.body]).toEqual([200, sent.body])
    expect((await ben.readAll()).events.at(-1)?.message).toEqual(sent.body)
    expectProblem(
      await backEnd.call('POST', path, { ...message, text: 'other' }),
      422,
      'idempotency_mismatch',
    )
    expectProblem(await backEnd.call('POST', path, { sender_id: 'nobody', text: 'x' }), 422, 'user_not_found')
    const stranger = await Person.signUp(gateway.url)
    expectProblem(await backEnd.call('POST', path, { sender_id: stranger.id, text: 'x' }), 404, 'not_found')
  })

  test('are sent as the system: from nobody, to all, once per key', async () => {
    const [anna, ben] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const chat = await anna.direct(ben)
    const path = `/conversations/${chat}/messages`
    await anna.send(chat, 'one')
    using stream = await ben.at(elsewhere.url).stream()
    await stream.waitForFrame('heartbeat')
    const message = { text: 'Parcel sent', reply_to: 1, data: { parcel: 9 } }
    const key = { 'idempotency-key': 'parcel-9' }
    const answers = await Promise.all([1, 2, 3].map(() => backEnd.call<Message>('POST', path, message, key)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 201])
    const [sent] = answers
    expect(sent?.body).toMatchObject({
      ...{ kind: 'system', sender_id: null, seq: 2, text: 'Parcel sent', reply_to: 1, data: { parcel: 9 } },
    })
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    await anna.send(chat, 'three')
    await stream.waitForTexts(2)
    expect(stream.events.map(({ message }) => message?.seq)).toEqual([2, 3])
    expect(stream.events[0]?.message).toEqual(sent?.body)
    for (const person of [anna, ben]) {
      expect((await person.readAll()).events.at(-2)?.message).toEqual(sent?.body)
      expect((await person.call('GET', `/v1${path}/2`)).body).toEqual(sent?.body)
    }
    expect((await ben.call('GET', `/v1/conversations/${chat}`)).body.unread_count).toBe(3)
    expect((await anna.call('GET', `/v1/conversations/${chat}`)).body.unread_count).toBe(1)
    expectProblem(await backEnd.call('POST', path, { text: 'other' }, key), 422, 'idempotency_mismatch')
    expectProblem(await backEnd.call('POST', path, { text: 'x', reply_to: 9 }), 422, 'reply_not_found')
    const nowhere = '/conversations/0190e2e6-0000-7000-8000-000000000000/messages'
    expectProblem(await backEnd.call('POST', nowhere, { text: 'x' }), 404, 'not_found')
  })

  test('of system and users that race are numbered without a gap', async () => {
    const [anna, ben] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const chat = await anna.direct(ben)
    const path = `/conversations/${chat}/messages`
    const sends = Array.from({ length: 60 }, (_, n) => {
      if (n % 3 === 0) return backEnd.call('POST', path, { text: `system ${n}` })
      return (n % 3 === 1 ? anna : ben.at(elsewhere.url)).send(chat, `user ${n}`)
    })
    expect((await Promise.all(sends)).map(({ status }) => status)).toEqual(sends.map(() => 201))
    const seqs = (await ben.readAll()).events.flatMap(({ message }) => (message ? [message.seq] : []))
    expect(seqs).toEqual(sends.map((_, n) => n + 1))
  })
})

describe('usage', () => {
  test('counts what happened, without counting messages', async () => {
    type Usage = {
      totals: Record<string, number>
      days: { date: string; messages: number; active_users: number }[]
    }
    const read = async (days = 2) => (await backEnd.call<Usage>('GET', `/usage?days=${days}`)).body
    await using other = await startGateway(postgres.url)
    const before = await read()
    const [anna, ben] = [await Person.signUp(other.url), await Person.signUp(other.url)]
    const chat = await anna.direct(ben)
    for (let n = 0; n < 5; n += 1) await anna.send(chat, `text ${n}`)
    expect((await ben.readAll()).events).toHaveLength(6)
    // What a node has counted it writes down when it ends.
    await other[Symbol.asyncDispose]()
    const after = await read()
    expect(after.days[0]?.date).toBe(new Date().toISOString().slice(0, 10))
    // Midnight may be in between.
    const of = ({ days }: Usage, what: 'messages' | 'active_users') => {
      const dates = new Set(after.days.map(({ date }) => date))
      return days.reduce((sum, day) => sum + (dates.has(day.date) ? day[what] : 0), 0)
    }
    expect(of(after, 'messages')).toBe(of(before, 'messages') + 5)
    expect(of(after, 'active_users')).toBeOneOf([2, 3, 4].map((count) => of(before, 'active_users') + count))
    expect(after.totals.users).toBe((before.totals.users ?? 0) + 2)
    expect(after.totals.conversations).toBe((before.totals.conversations ?? 0) + 1)
    expect(after.totals.messages).toBe((before.totals.messages ?? 0) + 5)
    expect((await read(30)).days).toHaveLength(30)
    expectProblem(await backEnd.call('GET', '/usage?days=0'), 422, 'validation_failed')
  })
})
