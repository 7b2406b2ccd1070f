import { beforeAll, describe, expect, test } from 'vitest'
import { call, Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { RawConnection } from './support/raw.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()
let alice: Person
let bob: Person
let chat: string

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
})

const lastSeq = async () => (await alice.call('GET', `/v1/conversations/${chat}`)).body.last_seq
const sendRaw = (body: string | Buffer, headers: Record<string, string> = {}) =>
  alice.call('POST', `/v1/conversations/${chat}/messages`, body, headers)

/** Like `call`, for bytes that are no string. */
async function sendBytes(bytes: Uint8Array<ArrayBuffer>) {
  const response = await fetch(`${gateway.url}/v1/conversations/${chat}/messages`, {
    method: 'POST',
    headers: { ...alice.authorization, 'content-type': 'application/json' },
    body: bytes,
  })
  const text = await response.text()
  return { status: response.status, text, headers: response.headers, body: JSON.parse(text) as unknown }
}

describe('a body that is not JSON', () => {
  test.each(['{', '{"text":}', '{"text":"a"} b', "{'text':'a'}", '{"text":"a\nb"}', '\ufeff{"text":"a"}'])(
    '%j is 400',
    async (body) => {
      const before = await lastSeq()
      expectProblem(await sendRaw(body), 400, 'malformed_json')
      expect(await lastSeq()).toBe(before)
    },
  )

  test.each([[[0xff]], [[0xc0, 0x80]], [[0xed, 0xa0, 0x80]], [[0xf0, 0x9f, 0x98]]])(
    'the bytes %j are 400, as they are not UTF-8',
    async (bytes) => {
      const body = new Uint8Array([...Buffer.from('{"text":"'), ...bytes, ...Buffer.from('"}')])
      expectProblem(await sendBytes(body), 400, 'malformed_json')
    },
  )

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    'application/json; charset=utf-16',
    'application/jsonp',
    '',
  ])('%j as Content-Type is 415', async (type) => {
    expectProblem(await sendRaw('{"text":"a"}', { 'content-type': type }), 415, 'unsupported_media_type')
  })

  test('no Content-Type at all is 415', async () => {
    using raw = await RawConnection.open(gateway.url)
    const headers = { Authorization: alice.authorization.authorization ?? '', 'Content-Length': '12' }
    raw.request(`POST /v1/conversations/${chat}/messages`, headers)
    raw.socket.write('{"text":"a"}')
    expect(await raw.status()).toBe(415)
  })

  test.each([
    'application/json',
    'APPLICATION/JSON',
    'application/json;charset=UTF-8',
    'application/json; charset="utf-8"',
  ])('%j is taken', async (type) => {
    expect((await sendRaw('{"text":"a"}', { 'content-type': type })).status).toBe(201)
  })
})

describe('a body of the wrong shape', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  const wrong: [body: string, path: string][] = [
    ['null', ''],
    ['[]', ''],
    ['"text"', ''],
    ['7', ''],
    ['{}', 'text'],
    ['{"text":5}', 'text'],
    ['{"text":null}', 'text'],
    ['{"text":["a"]}', 'text'],
    ['{"text":""}', 'text'],
    ['{"text":"a\\u0000b"}', 'text'],
    ['{"text":"\\ud83d"}', 'text'],
    ['{"text":"\\ude00\\ud83d"}', 'text'],
    ['{"text":"a","data":"b"}', 'data'],
    ['{"text":"a","data":[1]}', 'data'],
    ['{"text":"a","data":{"a":["\\u0000"]}}', 'data'],
    ['{"text":"a","data":{"\\ud800":1}}', 'data'],
    [`{"text":"a","data":{"a":"${'x'.repeat(4_096)}"}}`, 'data'],
    [`{"text":"a","data":{"a":${deep}}}`, 'data'],
    ['{"text":"a","reply_to":"1"}', 'reply_to'],
    ['{"text":"a","reply_to":0}', 'reply_to'],
    ['{"text":"a","reply_to":1.5}', 'reply_to'],
    ['{"text":"a","reply_to":1e300}', 'reply_to'],
    ['{"text":"a","client_id":7}', 'client_id'],
    ['{"text":"a","client_id":"a b"}', 'client_id'],
  ]
  test.each(wrong.map(([body, path]) => [body.slice(0, 60), path, body] as const))(
    '%s is 422 and names %j',
    async (_, path, body) => {
      const before = await lastSeq()
      const { errors = [] } = expectProblem(await sendRaw(body), 422, 'validation_failed')
      expect(errors.map((each) => each.path.split('.')[0])).toContain(path)
      expect(await lastSeq()).toBe(before)
    },
  )

  test('a legal text that looks dangerous comes back as it was', async () => {
    const text = 'a\\u0000 \\ud800 \u2028\r\n\n\r {"}\'; DROP TABLE users; -- \u0001\u007f\ufffe 👩‍👩‍👧'
    const data = { 'a\\u0000': '\\ud800', nested: { list: [1, null, true, '👍', { '': 0 }] } }
    const sent = await alice.call('POST', `/v1/conversations/${chat}/messages`, { text, data })
    expect(sent.body).toMatchObject({ text, data, truncated: false })
    const own = await bob.call('GET', `/v1/conversations/${chat}/messages/${sent.body.seq}`)
    expect(own.body).toEqual(sent.body)
  })

  const accounts = { username: 'somebody', password: 'correct horse' }
  test.each([
    [{ ...accounts, username: '' }],
    [{ ...accounts, username: 'a\u0000b' }],
    [{ ...accounts, username: 'two words' }],
    [{ ...accounts, username: 7 }],
    [{ ...accounts, password: 'short' }],
    [{ ...accounts, password: 'correct\u0000horse' }],
    [{ ...accounts, display_name: '\ud800' }],
    [{ ...accounts, display_name: '' }],
    [{ ...accounts, device_name: 'a\u0000' }],
    [{ ...accounts, cookie: 'true' }],
    [{ username: 'somebody' }],
  ])('an account of %j is 422 and not made', async (body) => {
    expectProblem(await call(gateway.url, 'POST', '/v1/accounts', { body }), 422, 'validation_failed')
    const signIn = await call(gateway.url, 'POST', '/v1/sessions', { body: accounts })
    expectProblem(signIn, 401, 'bad_credentials')
  })

  test.each([
    [{ kind: 'group', members: [], title: 'a\u0000' }],
    [{ kind: 'group', members: [], title: '\udc00' }],
    [{ kind: 'group', members: ['a\u0000'] }],
    [{ kind: 'group', members: 'bob' }],
    [{ kind: 'group', members: [7] }],
    [{ kind: 'channel', members: [] }],
    [{ kind: 'group', members: [], history: 'some' }],
    [{ members: [] }],
  ])('a conversation of %j is 422', async (body) => {
    expectProblem(await alice.call('POST', '/v1/conversations', body), 422, 'validation_failed')
  })

  test.each([
    'users?query=%00',
    'users?query=',
    'users?ids=a,b%00',
    'users?query=a&limit=0',
    'users?query=a&limit=101',
    'conversations?limit=x',
    'conversations?after=%00',
    'conversations?after=1.zzzz',
  ])('GET /v1/%s is 422', async (path) => {
    expectProblem(await alice.call('GET', `/v1/${path}`), 422, 'validation_failed')
  })
})

describe('a body that is too large', () => {
  const limit = 1536 * 1024
  const headersOf = () => ({
    Authorization: alice.authorization.authorization ?? '',
    'Content-Type': 'application/json',
  })
  const path = () => `POST /v1/conversations/${chat}/messages`

  test('by its Content-Length is 413 before a byte of it is read', async () => {
    using raw = await RawConnection.open(gateway.url)
    raw.request(path(), { ...headersOf(), 'Content-Length': String(2 * 1024 * 1024) })
    expect(await raw.status()).toBe(413)
  })

  test('is a problem also for a client that sends it whole', async () => {
    const body = JSON.stringify({ text: 'x'.repeat(2 * 1024 * 1024) })
    expectProblem(await sendRaw(body), 413, 'body_too_large')
  })

  test('in chunks is 413 as soon as it is over the limit, without its end', async () => {
    using raw = await RawConnection.open(gateway.url)
    raw.request(path(), { ...headersOf(), 'Transfer-Encoding': 'chunked' })
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`
    const needed = limit / 0x10000
    for (let n = 0; n < needed; n += 1) raw.socket.write(chunk)
    await until('all to be taken', () => raw.socket.writableLength === 0)
    expect(raw.received).toBe('')
    raw.socket.write(chunk)
    expect(await raw.status()).toBe(413)
  })

  test('never ends up in memory: a sender who does not stop is cut off', async () => {
    using raw = await RawConnection.open(gateway.url)
    raw.request(path(), { ...headersOf(), 'Transfer-Encoding': 'chunked' })
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`
    let sent = 0
    await until('the connection to end', () => {
      for (; raw.socket.writableLength < 0x100000 && !raw.socket.destroyed; sent += 0x10000) {
        raw.socket.write(chunk)
      }
      return raw.socket.destroyed
    })
    expect(await raw.status()).toBe(413)
    expect(sent).toBeLessThan(128 * 1024 * 1024)
  })

  test('at the limit is read', async () => {
    const body = '{"text":"at the limit"}'.padEnd(limit, ' ')
    expect((await sendRaw(body)).status).toBe(201)
  })

  test('cut off half-way leaves nothing', async () => {
    const before = await lastSeq()
    const body = '{"text":"half of a message"}'
    using raw = await RawConnection.open(gateway.url)
    raw.request(path(), { ...headersOf(), 'Content-Length': String(body.length + 1) })
    raw.socket.write(body)
    await until('the bytes to leave', () => raw.socket.writableLength === 0)
    raw.socket.destroy()
    // Whatever came of it would stand before what is sent afterwards.
    expect((await alice.send(chat, 'after it')).body.seq).toBe(Number(before) + 1)
  })
})
