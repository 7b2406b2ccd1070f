import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { call } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { expectProblem } from './support/problem.ts'
import { openStream } from './support/stream.ts'
import { until } from './support/wait.ts'

const allowed = 'https://app.example.org'
const json = { 'content-type': 'application/json' }

let postgres: TestPostgres
let gateway: Gateway
let database: Database
let cookie: string

beforeAll(async () => {
  postgres = await startPostgres()
  gateway = await startGateway(postgres.url, { corsOrigins: new Set([allowed]) })
  database = new Database({ url: postgres.url, maxConnections: 1 })
  const { headers } = await signUp()
  cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

let names = 0
const signUp = (base = gateway.url, headers: Record<string, string> = {}) => {
  const body = { username: `cookie-${names++}`, password: 'correct horse', cookie: true }
  return call(base, 'POST', '/v1/accounts', { body, headers })
}
const withCookie = (method: string, path: string, headers: Record<string, string> = {}, body?: unknown) =>
  call(gateway.url, method, path, { headers: { cookie, ...headers }, ...(body !== undefined && { body }) })

function flagsOf(header: string | null): Map<string, string> {
  const parts = (header ?? '').split(/; */).map((part) => part.split('=') as [string, string?])
  return new Map(parts.slice(1).map(([name, value = '']) => [name.toLowerCase(), value]))
}

describe('a cookie session', () => {
  test('is in the cookie alone, out of reach of scripts', async () => {
    const { status, body, headers, text } = await signUp()
    expect(status).toBe(201)
    expect(Object.keys(body).sort()).toEqual(['device_id', 'user'])
    const flags = flagsOf(headers.get('set-cookie'))
    expect(flags.has('httponly')).toBe(true)
    expect(flags.get('samesite')).toBe('Lax')
    expect(flags.get('path')).toBe('/')
    expect(flags.get('max-age')).toBe(String(30 * 86_400))
    expect(flags.has('secure')).toBe(false)
    expect(flags.has('domain')).toBe(false)
    const secret = headers.get('set-cookie')?.split(';')[0]?.split('=')[1] ?? ''
    expect(secret.length).toBeGreaterThanOrEqual(32)
    expect(text).not.toContain(secret)
    const kept = await database.sql`SELECT 1 FROM devices WHERE to_jsonb(devices)::text LIKE ${`%${secret}%`}`
    expect(kept).toHaveLength(0)
  })

  test('is Secure over https', async () => {
    await using secure = await startGateway(postgres.url, { publicUrl: 'https://chat.example.org' })
    expect(flagsOf((await signUp(secure.url)).headers.get('set-cookie')).has('secure')).toBe(true)
  })

  test('reads, and opens streams, also from a page that may not write', async () => {
    expect((await withCookie('GET', '/v1/users/me')).status).toBe(200)
    using stream = await openStream(`${gateway.url}/v1/events?as=sse`, { cookie })
    await stream.waitForFrame('hello')
    expect((await withCookie('GET', '/v1/users/me', { cookie: `a=b; ${cookie}; c="d"` })).status).toBe(200)
  })

  const body = { display_name: 'Changed' }
  test('writes from an allowed origin: the page itself, or one of CORS_ORIGINS', async () => {
    for (const origin of [gateway.url, allowed]) {
      expect((await withCookie('PATCH', '/v1/users/me', { origin }, body)).status).toBe(200)
      expect((await withCookie('POST', '/v1/stream-tickets', { origin })).status).toBe(201)
    }
  })

  test('writes through a proxy that changes Host, by the browser’s word that the page is our own', async () => {
    const origin = 'http://chat.example.org'
    for (const [site, status] of [
      ['same-origin', 200],
      ['same-site', 403],
      ['cross-site', 403],
      ['none', 403],
    ] as const) {
      const headers = { ...json, origin, 'sec-fetch-site': site }
      expect((await withCookie('PATCH', '/v1/users/me', headers, body)).status).toBe(status)
    }
  })

  test('writes without an Origin only by a JSON body', async () => {
    expect((await withCookie('PATCH', '/v1/users/me', {}, body)).status).toBe(200)
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const answer = await withCookie('PATCH', '/v1/users/me', { 'content-type': type }, body)
      expectProblem(answer, 403, 'origin_refused')
    }
    expectProblem(await withCookie('POST', '/v1/stream-tickets'), 403, 'origin_refused')
    expectProblem(await withCookie('DELETE', '/v1/sessions/current'), 403, 'origin_refused')
  })

  test.each([
    'https://evil.example.org',
    'null',
    'https://app.example.org.evil.com',
    'http://app.example.org',
    'https://app.example.org:444',
    '',
  ])('does not write from the origin %j', async (origin) => {
    const requests: [method: string, path: string, body?: unknown][] = [
      ['PATCH', '/v1/users/me', body],
      ['POST', '/v1/stream-tickets', {}],
      ['DELETE', '/v1/sessions/current'],
      ['POST', '/v1/users/me?_method=PATCH', body],
      ['POST', '/v1/events', { as: 'poll', wait: 0 }],
    ]
    for (const [method, path, content] of requests) {
      const answer = await withCookie(method, path, { ...json, origin }, content)
      expectProblem(answer, 403, 'origin_refused')
    }
    expect((await withCookie('GET', '/v1/users/me')).status).toBe(200)
  })

  test('slides: what is used lives 30 days from then on', async () => {
    const { headers, body: session } = await signUp()
    const own = headers.get('set-cookie')?.split(';')[0] ?? ''
    const id = String(session.device_id)
    await database.sql`UPDATE devices SET expires_at = now() + interval '2 days' WHERE id = ${id}`
    const used = await call(gateway.url, 'GET', '/v1/users/me', { headers: { cookie: own } })
    expect(used.headers.get('set-cookie')?.split(';')[0]).toBe(own)
    expect(flagsOf(used.headers.get('set-cookie')).get('max-age')).toBe(String(30 * 86_400))
    const rows =
      await database.sql`SELECT 1 FROM devices WHERE id = ${id} AND expires_at > now() + interval '29 days'`
    expect(rows).toHaveLength(1)
  })

  test('slides for who only reads events, too', async () => {
    for (const form of ['sse', 'poll&wait=0']) {
      const { headers, body: session } = await signUp()
      const own = headers.get('set-cookie')?.split(';')[0] ?? ''
      await database.sql`UPDATE devices SET expires_at = now() + interval '2 days' WHERE id = ${String(session.device_id)}`
      const used = await fetch(`${gateway.url}/v1/events?as=${form}`, { headers: { cookie: own } })
      await used.body?.cancel()
      expect(used.headers.get('set-cookie')?.split(';')[0]).toBe(own)
    }
  })

  test('ends with the sign-out: the cookie is taken back, streams end', async () => {
    const own = (await signUp()).headers.get('set-cookie')?.split(';')[0] ?? ''
    const headers = { cookie: own, origin: gateway.url }
    using stream = await openStream(`${gateway.url}/v1/events?as=sse`, { cookie: own })
    await stream.waitForFrame('heartbeat')
    const out = await call(gateway.url, 'DELETE', '/v1/sessions/current', { headers })
    expect(out.status).toBe(204)
    expect(flagsOf(out.headers.get('set-cookie')).get('max-age')).toBe('0')
    expect((await call(gateway.url, 'GET', '/v1/users/me', { headers })).status).toBe(401)
    await until('its end', () => stream.ended, 5_000)
  })

  test('that is nobody’s is 401', async () => {
    const name = cookie.split('=')[0]
    for (const value of ['', 'x', 'x'.repeat(43), '"']) {
      const answer = await call(gateway.url, 'GET', '/v1/users/me', {
        headers: { cookie: `${name}=${value}` },
      })
      expectProblem(answer, 401, 'unauthenticated')
    }
  })
})

describe('a page of another origin', () => {
  const ask = (path: string, origin: string, method = 'GET') =>
    call(gateway.url, 'OPTIONS', path, {
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,content-type,idempotency-key,last-event-id',
      },
    })

  test.each(['/v1/events', '/v1/conversations', '/v1/users/me'])(
    'may call %s if it is allowed',
    async (path) => {
      const preflight = await ask(path, allowed, 'PATCH')
      expect(preflight.status).toBe(204)
      expect(preflight.headers.get('access-control-allow-origin')).toBe(allowed)
      expect(preflight.headers.get('access-control-allow-credentials')).toBe('true')
      expect(preflight.headers.get('access-control-allow-methods')).toMatch(/PATCH/)
      const names = preflight.headers.get('access-control-allow-headers')?.toLowerCase().split(/, */)
      for (const name of ['authorization', 'content-type', 'idempotency-key', 'last-event-id']) {
        expect(names).toContain(name)
      }
      expect(preflight.headers.get('vary')).toMatch(/origin/i)
      for (const headers of [{ cookie, origin: allowed }, { origin: allowed }]) {
        const answer = await call(gateway.url, 'GET', `${path}?wait=0`, { headers })
        expect(answer.headers.get('access-control-allow-origin')).toBe(allowed)
        expect(answer.headers.get('access-control-allow-credentials')).toBe('true')
        expect(answer.headers.get('access-control-expose-headers')).toMatch(/Idempotent-Replayed/)
      }
    },
  )

  test('may read a stream with the cookie, and its bye', async () => {
    for (const query of ['as=sse', 'as=octet&limit=1']) {
      using stream = await openStream(`${gateway.url}/v1/events?${query}`, { cookie, origin: allowed })
      expect(stream.response.headers['access-control-allow-origin']).toBe(allowed)
      expect(stream.response.headers['access-control-allow-credentials']).toBe('true')
    }
  })

  test.each(['https://evil.example.org', 'null', 'https://APP.example.org', `${allowed}.evil.com`])(
    'is told nothing if it is %s',
    async (origin) => {
      for (const path of ['/v1/events', '/v1/users/me']) {
        const preflight = await ask(path, origin)
        const answer = await call(gateway.url, 'GET', `${path}?wait=0`, { headers: { cookie, origin } })
        for (const { headers } of [preflight, answer]) {
          expect(headers.get('access-control-allow-origin')).toBeNull()
          expect(headers.get('access-control-allow-credentials')).toBeNull()
        }
      }
    },
  )
})
