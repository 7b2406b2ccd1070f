import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { startGateway } from './support/gateway.ts'
import { type Answer, call, Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { RawConnection } from './support/raw.ts'
import { useGateway } from './support/suite.ts'

const { postgres, gateway } = useGateway()
let alice: Person
let bob: Person
let chat: string
let group: string

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
  group = await alice.group([bob])
})

const isReplay = ({ headers }: Answer<unknown>) => headers.get('idempotent-replayed') === 'true'
const lastSeq = async (id: string) =>
  (await alice.call<Conversation>('GET', `/v1/conversations/${id}`)).body.last_seq
const post = (id: string, body: object, key?: string, sender = alice) =>
  sender.call<Message>(
    'POST',
    `/v1/conversations/${id}/messages`,
    body,
    key === undefined ? {} : { 'idempotency-key': key },
  )

describe('P2 a key makes one message', () => {
  test('again → 200 with the same message, by header or client_id, from any device and node', async () => {
    const key = randomUUID()
    const first = await post(chat, { text: 'once', data: { a: [1, { b: 2 }] } }, key)
    expect([first.status, isReplay(first), first.body.client_id]).toEqual([201, false, key])
    const device = await alice.anotherDevice()
    await using second = await startGateway(postgres.url)
    const elsewhere = (await alice.anotherDevice()).at(second.url)
    const body = { text: 'once', data: { a: [1, { b: 2 }] } }
    for (const again of [
      await post(chat, body, key),
      await post(chat, { ...body, client_id: key }),
      await post(chat, { ...body, client_id: key }, key),
      await post(chat, body, key, device),
      await post(chat, body, key, elsewhere),
      await post(chat.toUpperCase(), body, key),
    ]) {
      expect([again.status, isReplay(again)]).toEqual([200, true])
      expect(again.body).toEqual(first.body)
    }
    expect(await lastSeq(chat)).toBe(first.body.seq)
  })

  test('with another body or conversation → 422, and nothing is sent', async () => {
    const key = randomUUID()
    const { body } = await post(chat, { text: 'a', data: { b: 1 } }, key)
    const before = [await lastSeq(chat), await lastSeq(group)]
    for (const [id, other] of [
      [chat, { text: 'b', data: { b: 1 } }],
      [chat, { text: 'a' }],
      [chat, { text: 'a', data: { b: 2 } }],
      [chat, { text: 'a', data: { b: 1 }, reply_to: 1 }],
      [group, { text: 'a', data: { b: 1 } }],
    ] as const) {
      expectProblem(await post(id, other, key), 422, 'idempotency_mismatch')
    }
    expect([await lastSeq(chat), await lastSeq(group)]).toEqual(before)
    expect((await post(chat, { text: 'a', data: { b: 1 } }, key)).body).toEqual(body)
  })

  test('belongs to its sender: the same key of another is another message', async () => {
    const key = randomUUID()
    const mine = await post(chat, { text: 'same words' }, key)
    const theirs = await post(chat, { text: 'same words' }, key, bob)
    expect([mine.status, theirs.status]).toEqual([201, 201])
    expect(theirs.body.seq).toBe(mine.body.seq + 1)
  })

  test('50 uses at once → one 201, the rest 200, one message', async () => {
    const before = await lastSeq(chat)
    const after = (await bob.readAll()).cursor
    await using second = await startGateway(postgres.url)
    const elsewhere = (await alice.anotherDevice()).at(second.url)
    const key = randomUUID()
    const senders = Array.from({ length: 50 }, (_, n) => (n % 2 ? alice : elsewhere))
    const answers = await Promise.all(senders.map((each) => post(chat, { text: 'at once' }, key, each)))
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(49).fill(200), 201])
    for (const answer of answers) {
      expect(isReplay(answer)).toBe(answer.status === 200)
      expect(answer.body).toEqual(answers[0]?.body)
    }
    expect(await lastSeq(chat)).toBe(before + 1)
    expect((await bob.readAll(after)).events).toHaveLength(1)
  })

  test('50 uses at once with two bodies → one message, the other body 422', async () => {
    const before = await lastSeq(chat)
    const key = randomUUID()
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => post(chat, { text: n % 2 ? 'odd' : 'even' }, key)),
    )
    const winner = answers.find(({ status }) => status === 201)?.body.text
    for (const [n, { status }] of answers.entries()) {
      expect(status === 422).toBe((n % 2 ? 'odd' : 'even') !== winner)
    }
    expect(await lastSeq(chat)).toBe(before + 1)
  })

  test.each(['', ' ', 'a b', 'a\tb', 'x'.repeat(65), 'schlüssel'])('%j is no key: 422', async (key) => {
    using raw = await RawConnection.open(gateway.url)
    const body = '{"text":"not sent"}'
    const before = await lastSeq(chat)
    raw.request(`POST /v1/conversations/${chat}/messages`, {
      ...{ Authorization: alice.authorization.authorization ?? '', 'Content-Type': 'application/json' },
      'Content-Length': String(body.length),
      'Idempotency-Key': key,
    })
    raw.socket.write(body)
    expect(await raw.status()).toBe(422)
    if (!key.includes('\u007f')) {
      expectProblem(await post(chat, { text: 'not sent', client_id: key }), 422, 'validation_failed')
    }
    expect(await lastSeq(chat)).toBe(before)
  })

  test('of 64 visible characters is one', async () => {
    const key = `!~${'x'.repeat(62)}`
    expect((await post(chat, { text: 'long key' }, key)).status).toBe(201)
    expect((await post(chat, { text: 'long key' }, key)).status).toBe(200)
  })
})

describe('a creating POST that a proxy repeats', () => {
  const twice = async (path: string, body: object | undefined, person?: Person) => {
    const headers = { 'idempotency-key': randomUUID(), ...person?.authorization }
    const given = { ...(body && { body }), headers }
    const ask = () => call(gateway.url, 'POST', path, given)
    const both = await Promise.all([ask(), ask()])
    const third = await ask()
    const [first, second] = isReplay(both[0]) ? [both[1], both[0]] : both
    for (const again of [second, third]) {
      expect(isReplay(again)).toBe(true)
      expect([again.status, again.text]).toEqual([first.status, first.text])
      expect(again.headers.get('set-cookie')).toEqual(first.headers.get('set-cookie'))
    }
    expect(isReplay(first)).toBe(false)
    const other = await call(gateway.url, 'POST', path, {
      body: { ...body, password: 'another one' },
      headers,
    })
    return { first, other }
  }

  test('makes one group', async () => {
    const person = await Person.signUp(gateway.url)
    const body = { kind: 'group', members: [bob.id], title: 'once' }
    const { first } = await twice('/v1/conversations', body, person)
    expect(first.status).toBe(201)
    const { conversations } = (await person.call('GET', '/v1/conversations')).body
    expect(conversations).toHaveLength(1)
    const key = { 'idempotency-key': 'k' }
    await person.call('POST', '/v1/conversations', body, key)
    const other = await person.call('POST', '/v1/conversations', { ...body, title: 'other' }, key)
    expectProblem(other, 422, 'idempotency_mismatch')
  })

  test('makes one direct conversation', async () => {
    const person = await Person.signUp(gateway.url)
    const { first } = await twice('/v1/conversations', { kind: 'direct', members: [bob.id] }, person)
    expect(first.status).toBe(201)
  })

  test.each([false, true])('makes one account (cookie: %s)', async (cookie) => {
    const body = { username: `once-${cookie}`, password: 'correct horse', cookie }
    const { first, other } = await twice('/v1/accounts', body)
    expect(first.status).toBe(201)
    expectProblem(other, 422, 'idempotency_mismatch')
    expectProblem(await call(gateway.url, 'POST', '/v1/accounts', { body }), 409, 'username_taken')
  })

  test('makes one session', async () => {
    const person = await Person.signUp(gateway.url)
    const { username } = person.session.user
    const { first } = await twice('/v1/sessions', { username, password: 'correct horse' })
    expect(first.status).toBe(201)
    expect((await person.call('GET', '/v1/sessions')).body.sessions).toHaveLength(2)
  })

  test('makes one stream ticket', async () => {
    const { first } = await twice('/v1/stream-tickets', undefined, alice)
    expect(first.body).toEqual({ ticket: expect.any(String), expires_in: 60 })
  })

  test('keeps its key to itself: another sender makes something of their own', async () => {
    const headers = { 'idempotency-key': 'shared' }
    const body = { kind: 'group', members: [] }
    const mine = await alice.call('POST', '/v1/conversations', body, headers)
    const theirs = await bob.call('POST', '/v1/conversations', body, headers)
    expect([mine.status, theirs.status]).toEqual([201, 201])
    expect(theirs.body.id).not.toBe(mine.body.id)
  })
})
