import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect } from 'node:http2'
import { request } from 'node:https'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { startGateway } from './support/gateway.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

const pem = (name: string) => readFileSync(new URL(`./support/${name}`, import.meta.url), 'utf8')
const tls = { cert: pem('localhost.crt'), key: pem('localhost.key') }

let postgres: TestPostgres
let gateway: Gateway
let session: ClientHttp2Session

beforeAll(async () => {
  postgres = await startPostgres()
  gateway = await startGateway(postgres.url, { tls })
  session = connect(gateway.url, { ca: tls.cert })
})

afterAll(async () => {
  session?.destroy()
  await gateway?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

type Answer = { status: number; headers: Record<string, unknown>; text: string; chunks: string[] }

/** Opens an HTTP/2 request; `answer.text` grows as it arrives. */
function open(method: string, path: string, headers: Record<string, string>, body?: unknown): Answer {
  const stream = session.request({ ':method': method, ':path': path, ...headers })
  const answer: Answer = { status: 0, headers: {}, text: '', chunks: [] }
  stream.setEncoding('utf8')
  stream.on('response', (received) => {
    answer.status = Number(received[':status'])
    answer.headers = received
  })
  stream.on('data', (chunk: string) => {
    answer.text += chunk
    answer.chunks.push(chunk)
  })
  stream.on('error', () => {})
  stream.end(body === undefined ? undefined : JSON.stringify(body))
  return answer
}

async function post(path: string, body: unknown, token = '') {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = open('POST', path, headers, body)
  await until('the answer', () => answer.text !== '' && answer.text.endsWith('}'))
  return { ...answer, body: JSON.parse(answer.text) }
}

test('HTTP/2: accounts, sends and streams with back-pressure work over one connection', async () => {
  const [anna, ben] = await Promise.all(
    ['anna', 'ben'].map(
      async (username) => (await post('/v1/accounts', { username, password: 'correct horse' })).body,
    ),
  )
  const chat = await post('/v1/conversations', { kind: 'direct', members: [ben.user.id] }, anna.access_token)
  expect(chat.status).toBe(201)
  const stream = open('GET', '/v1/events?as=sse&after=0', { authorization: `Bearer ${ben.access_token}` })
  await until('the first heartbeat', () => stream.text.includes('event: heartbeat'))
  expect(stream.headers['content-type']).toBe('text/event-stream')
  expect(stream.chunks[0]).not.toContain('event: heartbeat')
  const text = 'ü'.repeat(4_000)
  const messages = Array.from({ length: 60 }, (_, n) => ({
    conversation_id: chat.body.id,
    text: `${n} ${text}`,
    client_id: `k${n}`,
  }))
  expect((await post('/v1/messages', { messages }, anna.access_token)).status).toBe(200)
  await until('all messages', () => (stream.text.match(/^id: /gm) ?? []).length >= 62)
  expect(stream.text.match(/"text":"\d+ /g)?.map((each) => Number.parseInt(each.slice(8), 10))).toEqual(
    messages.map((_, n) => n),
  )
})

test('HTTP/1.1 is spoken on the same port, and the cookie is Secure', async () => {
  const body = JSON.stringify({ username: 'carla', password: 'correct horse', cookie: true })
  const answer = await new Promise<{ version: string; cookie: string }>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    request(
      `${gateway.url}/v1/accounts`,
      { method: 'POST', headers, ca: tls.cert, agent: false },
      (response) => {
        response.resume()
        resolve({ version: response.httpVersion, cookie: String(response.headers['set-cookie']) })
      },
    )
      .on('error', reject)
      .end(body)
  })
  expect(answer.version).toBe('1.1')
  expect(answer.cookie).toMatch(/HttpOnly; SameSite=Lax; Secure/)
})

test('draining ends HTTP/2 connections too', async () => {
  const other = await startGateway(postgres.url, { tls })
  const client = connect(other.url, { ca: tls.cert })
  const closed = new Promise((resolve) => client.once('close', resolve))
  const probe = client.request({ ':path': '/healthz' })
  probe.resume()
  await new Promise((resolve) => probe.once('end', resolve))
  await other[Symbol.asyncDispose]()
  await closed
})

test('HTTP/1.1 connections outlast those of proxies, and a request that hangs is cut by the drain', async () => {
  const other = await startGateway(postgres.url, { tls })
  const { port } = new URL(other.url)
  const sending = request({
    host: 'localhost',
    port,
    ca: tls.cert,
    agent: false,
    method: 'POST',
    path: '/v1/accounts',
  })
  sending.on('error', () => {})
  sending.setHeader('content-type', 'application/json').setHeader('content-length', 100)
  sending.write('{')
  const answer = await new Promise<string>((resolve, reject) => {
    const asked = request({ host: 'localhost', port, ca: tls.cert, path: '/healthz' }, (response) => {
      resolve(String(response.resume().headers['keep-alive']))
    })
    asked.setHeader('connection', 'keep-alive').on('error', reject).end()
  })
  expect(answer).toBe('timeout=95')
  const began = performance.now()
  await other[Symbol.asyncDispose]()
  expect(performance.now() - began).toBeLessThan(6_000)
}, 15_000)
