import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../src/store/ids.ts'
import { call, Person } from './support/person.ts'
import { expectProblem, expectStanding } from './support/problem.ts'
import { useGateway } from './support/suite.ts'

const { gateway } = useGateway()
let alice: Person
let bob: Person
let stranger: Person
let chat: string
let group: string

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  stranger = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
  group = await alice.group([bob])
  await alice.send(chat, 'seen by two')
  await alice.send(group, 'seen by two')
})

describe('P6 a conversation of others', () => {
  const requests: [method: string, path: string, body?: unknown][] = [
    ['GET', ''],
    ['PATCH', '', { title: 'mine now' }],
    ['PATCH', '', { muted: true }],
    ['GET', '/members'],
    ['PUT', '/members/somebody'],
    ['PUT', '/members/somebody', { role: 'admin' }],
    ['DELETE', '/members/somebody'],
    ['DELETE', '/members/me'],
    ['GET', '/messages'],
    ['GET', '/messages?before_seq=5'],
    ['GET', '/messages?after_seq=0'],
    ['GET', '/messages?around_seq=1'],
    ['GET', '/messages/1'],
    ['POST', '/messages', { text: 'let me in' }],
    ['POST', '/messages', { text: 'let me in', reply_to: 1 }],
    ['PUT', '/read', { seq: 1 }],
  ]

  test.each(requests)('%s …%s answers as one that does not exist', async (method, path, body) => {
    const ask = async (id: string) => {
      const own = path.replace('/members/somebody', `/members/${bob.id}`)
      const answer = await stranger.call(method, `/v1/conversations/${id}${own}`, body)
      return expectProblem(answer, 404, 'not_found')
    }
    const nowhere = await ask(newId())
    expect(await ask(chat)).toEqual(nowhere)
    expect(await ask(group)).toEqual(nowhere)
    for (const malformed of ['0', 'x'.repeat(300), `${group}0`, '%00', '%ff', '..%2f', randomUUID()]) {
      expect(await ask(malformed), malformed).toEqual(nowhere)
    }
    expect((await alice.call('GET', `/v1/conversations/${group}`)).body).toMatchObject({
      title: null,
      members_count: 2,
      last_seq: 1,
    })
  })

  test('is there under its id in capital letters for its members', async () => {
    expect((await alice.call('GET', `/v1/conversations/${chat.toUpperCase()}`)).body.id).toBe(chat)
  })

  test.each(['0', '-1', '1.5', 'x', '2', '9007199254740993', '99999999999999999999'])(
    'the message %s is not there',
    async (seq) => {
      const answer = await alice.call('GET', `/v1/conversations/${chat}/messages/${seq}`)
      expectProblem(answer, 404, 'not_found')
    },
  )
})

describe('a path', () => {
  test.each([
    '/v1',
    '/v1/',
    '/v1/nothing',
    '/v1/events/',
    '/v1/conversations/',
    '/v1/users/me/',
    '/v1/Users/me',
    '/v1/users/me/blocks/x/y',
    '/v2/users/me',
    '/v1/conversations//messages',
  ])('%s is 404', async (path) => {
    const answer = await alice.call('GET', path)
    expect(answer.status).toBe(404)
    if (path.startsWith('/v1')) expectProblem(answer, 404, 'not_found')
  })

  test.each([
    ['PUT', '/v1/accounts', ['POST']],
    ['GET', '/v1/accounts', ['POST']],
    ['DELETE', '/v1/conversations', ['GET', 'POST']],
    ['PATCH', '/v1/sessions', ['GET', 'POST']],
    ['GET', '/v1/sessions/current', ['DELETE']],
    ['PUT', '/v1/events', ['GET', 'POST']],
    ['DELETE', '/v1/events', ['GET', 'POST']],
    ['OPTIONS', '/v1/gateway', ['GET']],
    ['PROPFIND', '/v1/gateway', ['GET']],
  ])('%s %s is 405 and names what is allowed', async (method, path, allowed) => {
    const answer = await alice.call(method, path)
    expectProblem(answer, 405, 'method_not_allowed')
    const names = answer.headers.get('allow')?.split(', ') ?? []
    expect(names.filter((name) => name !== 'HEAD')).toEqual(expect.arrayContaining(allowed))
    expect(names).not.toContain(method)
  })

  test('HEAD of the events is 405, of other things as GET without a body', async () => {
    const events = await alice.call('HEAD', '/v1/events?as=sse')
    expect(events.status).toBe(405)
    expect(events.headers.get('allow')).toBe('GET, POST')
    expectStanding(events)
    const me = await alice.call('HEAD', '/v1/users/me')
    expect([me.status, me.text]).toEqual([200, ''])
  })
})

describe('another method', () => {
  const change = (name: string) => ({ display_name: name })

  test('by ?_method= or X-HTTP-Method-Override is that method', async () => {
    const byQuery = await alice.call('POST', '/v1/users/me?_method=PATCH', change('By query'))
    expect(byQuery.body.display_name).toBe('By query')
    const byHeader = await alice.call('POST', '/v1/users/me', change('By header'), {
      'x-http-method-override': 'patch',
    })
    expect(byHeader.body.display_name).toBe('By header')
    const read = await alice.call('POST', `/v1/conversations/${chat}/read?_method=PUT`, { seq: 1 })
    expect(read.status).toBe(204)
  })

  test('comes from POST alone, and only PUT, PATCH and DELETE', async () => {
    const headers = { 'x-http-method-override': 'DELETE' }
    expect((await alice.call('GET', '/v1/users/me?_method=DELETE', undefined, headers)).status).toBe(200)
    const put = await alice.call('PUT', `/v1/conversations/${chat}/read?_method=DELETE`, { seq: 1 }, headers)
    expect(put.status).toBe(204)
    expect((await alice.call('POST', '/v1/users/me?_method=GET')).status).toBe(405)
    expect((await alice.call('POST', '/v1/events?_method=DELETE')).status).toBe(405)
  })

  test('signs out by POST', async () => {
    const device = await bob.anotherDevice()
    expect((await device.call('POST', '/v1/sessions/current?_method=DELETE')).status).toBe(204)
    expect((await device.call('GET', '/v1/users/me')).status).toBe(401)
  })
})

describe('every answer', () => {
  test('has an id of its own and stays out of caches', async () => {
    const answers = await Promise.all([
      alice.call('GET', '/v1/users/me'),
      alice.call('GET', '/v1/conversations'),
      alice.call('PUT', `/v1/conversations/${chat}/read`, { seq: 1 }),
      alice.poll(),
      call(gateway.url, 'GET', '/v1/gateway'),
      call(gateway.url, 'GET', '/v1/users/me'),
      call(gateway.url, 'GET', '/v1/events?as=sse'),
      call(gateway.url, 'GET', '/v1/nothing'),
      call(gateway.url, 'OPTIONS', '/v1/users/me'),
    ])
    for (const answer of answers) expectStanding(answer)
    expect(new Set(answers.map(({ headers }) => headers.get('x-request-id'))).size).toBe(answers.length)
  })

  test('has times in UTC with milliseconds, names in snake_case', async () => {
    const { text } = await alice.call('GET', '/v1/conversations')
    for (const [, time] of text.matchAll(/"\w+_at":"([^"]+)"/g)) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    }
    for (const [, name] of text.matchAll(/"([^"]+)":/g)) expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/)
  })
})

describe('a list ends at 48 KB and says so', () => {
  const limit = 48 * 1024

  test('of conversations, by `next`', async () => {
    const reader = await Person.signUp(gateway.url)
    const data = { note: 'x'.repeat(4_000) }
    for (let n = 0; n < 15; n += 1) await reader.group([], { title: `${n}`, data })
    const titles: unknown[] = []
    for (let after = ''; ; ) {
      const { text, body } = await reader.call<{ conversations: { title: string }[]; next: string | null }>(
        'GET',
        `/v1/conversations?limit=100${after}`,
      )
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limit)
      titles.push(...body.conversations.map(({ title }) => title))
      if (body.next === null) break
      after = `&after=${body.next}`
    }
    expect(titles).toEqual(Array.from({ length: 15 }, (_, n) => `${14 - n}`))
  })

  test('of people, by `has_more`', async () => {
    const people = await Promise.all(
      Array.from({ length: 14 }, (_, n) => Person.signUp(gateway.url, `zoe${n}`)),
    )
    await Promise.all(
      people.map((each) => each.call('PATCH', '/v1/users/me', { data: { note: 'x'.repeat(4_000) } })),
    )
    for (const query of ['query=zoe&limit=100', `ids=${people.map(({ id }) => id).join(',')}`]) {
      const { text, body } = await alice.call<{ users: unknown[] }>('GET', `/v1/users?${query}`)
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limit)
      expect(body.users.length).toBeGreaterThan(5)
      expect(body).toMatchObject({ has_more: true })
    }
  })

  test('of devices, by `has_more`', async () => {
    const { username } = stranger.session.user
    const device_name = '\u0001'.repeat(128)
    const body = { username, password: 'correct horse', device_name }
    for (let n = 0; n < 60; n += 1) await call(gateway.url, 'POST', '/v1/sessions', { body })
    const answer = await stranger.call<{ sessions: unknown[] }>('GET', '/v1/sessions')
    expect(Buffer.byteLength(answer.text)).toBeLessThanOrEqual(limit)
    expect(answer.body).toMatchObject({ has_more: true })
  })

  test('of errors', async () => {
    const members = Array.from({ length: 99 }, (_, n) => '\u0001'.repeat(125) + n)
    const answer = await alice.call('POST', '/v1/conversations', { kind: 'group', members })
    expectProblem(answer, 422, 'user_not_found')
    expect(Buffer.byteLength(answer.text)).toBeLessThanOrEqual(limit)
  })
})
