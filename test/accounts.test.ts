import { jwtVerify, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { type Answer, call, Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'

type Session = {
  user: { id: string; username: string }
  device_id: string
  access_token: string
  refresh_token: string
}

const { postgres, gateway } = useGateway()
let database: Database

beforeAll(async () => {
  database = new Database({ url: postgres.url, maxConnections: 1 })
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

const post = <T = Session>(path: string, body: unknown, base = gateway.url): Promise<Answer<T>> =>
  call<T>(base, 'POST', path, { body })
const me = (token: string) =>
  call(gateway.url, 'GET', '/v1/users/me', { headers: { authorization: `Bearer ${token}` } })
const password = 'correct horse'

describe('an account', () => {
  test('is a session at once', async () => {
    const body = { username: 'Ada.L-1_x', password, display_name: 'Ada 👩‍💻', device_name: 'laptop' }
    const { status, body: session } = await post('/v1/accounts', body)
    expect(status).toBe(201)
    expect(session).toEqual({
      user: {
        id: expect.stringMatching(/^.{1,128}$/),
        username: 'Ada.L-1_x',
        display_name: 'Ada 👩‍💻',
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        data: {},
      },
      device_id: expect.any(String),
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_token: expect.any(String),
    })
    expect((await me(session.access_token)).body).toEqual(session.user)
  })

  test('has a name of its own, however it is written', async () => {
    await post('/v1/accounts', { username: 'Grace', password })
    for (const username of ['Grace', 'grace', 'GRACE']) {
      expectProblem(await post('/v1/accounts', { username, password }), 409, 'username_taken')
      expect((await post('/v1/sessions', { username, password })).status).toBe(201)
    }
  })

  test('is made once, however many ask at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => post('/v1/accounts', { username: 'wanted', password })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)])
  })

  test('signs in with its password alone; who does not exist is not told apart', async () => {
    await post('/v1/accounts', { username: 'linus', password })
    const wrong = await post('/v1/sessions', { username: 'linus', password: `${password}!` })
    const nobody = await post('/v1/sessions', { username: 'nobody-at-all', password })
    expect(expectProblem(wrong, 401, 'bad_credentials')).toEqual(
      expectProblem(nobody, 401, 'bad_credentials'),
    )
  })

  test('SIGNUP=off closes sign-up, DIRECTORY=off the search', async () => {
    const person = await Person.signUp(gateway.url)
    await using closed = await startGateway(postgres.url, { signup: false, directory: false })
    expectProblem(
      await post('/v1/accounts', { username: 'late', password }, closed.url),
      403,
      'signup_closed',
    )
    const { username } = person.session.user
    expect((await post('/v1/sessions', { username, password }, closed.url)).status).toBe(201)
    const guest = (await Person.signUp(gateway.url)).at(closed.url)
    expectProblem(await guest.call('GET', `/v1/users?query=${username}`), 403, 'directory_closed')
    expect((await guest.call('GET', `/v1/users?ids=${person.id},nobody`)).body.users).toHaveLength(1)
    expect((await guest.call('GET', `/v1/users/${person.id}`)).status).toBe(200)
  })

  test('RATE_LIMITS: failed sign-ins end in 429, for that name, with a time to wait', async () => {
    await using limited = await startGateway(postgres.url, { rateLimits: true })
    await post('/v1/accounts', { username: 'target', password })
    await post('/v1/accounts', { username: 'bystander', password })
    let failed: Answer<unknown>
    let count = 0
    do {
      failed = await post('/v1/sessions', { username: 'target', password: 'guess' }, limited.url)
      count += 1
    } while (failed.status === 401 && count < 100)
    expectProblem(failed, 429, 'rate_limited')
    expect(count).toBeGreaterThan(5)
    const right = await post('/v1/sessions', { username: 'TARGET', password }, limited.url)
    expectProblem(right, 429, 'rate_limited')
    expect((await post('/v1/sessions', { username: 'bystander', password }, limited.url)).status).toBe(201)
  })
})

describe('an access token', () => {
  const secret = async () => {
    const [row] = await database.sql<
      { value: string }[]
    >`SELECT value FROM secrets WHERE name = 'access token'`
    return new TextEncoder().encode(row?.value)
  }
  let person: Person
  beforeAll(async () => {
    person = await Person.signUp(gateway.url)
  })

  test('that has expired, is unsigned, or is signed or made by another is 401', async () => {
    const key = await secret()
    const { payload } = await jwtVerify(person.session.access_token, key)
    const sign = (claims: object, by = key, alg = 'HS256') =>
      new SignJWT({ ...payload, ...claims }).setProtectedHeader({ alg }).sign(by)
    expect((await me(await sign({}))).status).toBe(200)
    const past = Math.floor(Date.now() / 1_000) - 1
    expectProblem(await me(await sign({ exp: past })), 401, 'token_expired')
    const [header, claims, signature] = person.session.access_token.split('.')
    const bad = [
      await sign({ iss: 'somebody else' }),
      await sign({ exp: undefined }),
      await sign({ sub: undefined }),
      await sign({}, new TextEncoder().encode('another secret, that is long enough')),
      await sign({}, key, 'HS512'),
      new UnsecuredJWT(payload).encode(),
      `${header}.${claims}.`,
      `${header}.${claims}`,
      `${header}.${Buffer.from('{"sub":"x"}').toString('base64url')}.${signature}`,
      person.session.refresh_token,
    ]
    for (const token of bad) expectProblem(await me(token), 401, 'token_invalid')
  })

  test.each(['Bearer', 'Bearer ', 'bearer a b', 'Basic dXNlcjpwYXNz', 'a', '"'])(
    'in the header as %j is 401',
    async (authorization) => {
      const answer = await call(gateway.url, 'GET', '/v1/users/me', { headers: { authorization } })
      expectProblem(answer, 401, 'token_invalid')
    },
  )

  test('in a URL is refused', async () => {
    const token = person.session.access_token
    for (const name of ['access_token', 'token', 'authorization', 'ticket', 'bearer']) {
      for (const path of ['/v1/users/me?', '/v1/events?wait=0&', '/v1/events?as=sse&']) {
        expect((await call(gateway.url, 'GET', `${path}${name}=${token}`)).status, name + path).toBe(401)
      }
    }
  })

  test('no token at all is 401, also for a stream', async () => {
    for (const path of ['/v1/users/me', '/v1/events?wait=0', '/v1/events?as=sse', '/v1/events?as=octet']) {
      expectProblem(await call(gateway.url, 'GET', path), 401, 'unauthenticated')
    }
  })
})

describe('a refresh token', () => {
  const refresh = (refresh_token: string) => post('/v1/sessions/refresh', { refresh_token })
  /** As if so many seconds had passed since a successor was first used. */
  const letPass = (person: { id: string }, seconds: number) =>
    database.sql`
      UPDATE refresh_tokens SET successor_spent_at = successor_spent_at - ${`${seconds} seconds`}::interval
      WHERE user_id = ${person.id}`

  test('is rotated: a new session of the same device', async () => {
    const person = await Person.signUp(gateway.url)
    const { status, body } = await refresh(person.session.refresh_token)
    expect(status).toBe(200)
    expect(Object.keys(body).sort()).toEqual(Object.keys(person.session).sort())
    expect(body.device_id).toBe(person.session.device_id)
    expect(body.refresh_token).not.toBe(person.session.refresh_token)
    expect((await me(body.access_token)).status).toBe(200)
    expect((await person.call('GET', '/v1/sessions')).body.sessions).toHaveLength(1)
  })

  test('just spent still works until its successor is used, however often and late', async () => {
    const person = await Person.signUp(gateway.url)
    const { refresh_token: spent } = person.session
    const parallel = await Promise.all(Array.from({ length: 5 }, () => refresh(spent)))
    await database.sql`UPDATE refresh_tokens SET spent_at = spent_at - interval '20 days' WHERE user_id = ${person.id}`
    for (const { status, body } of [...parallel, await refresh(spent)]) {
      expect(status).toBe(200)
      expect((await me(body.access_token)).status).toBe(200)
    }
    const last = await refresh(spent)
    const next = await refresh(last.body.refresh_token)
    expect((await refresh(next.body.refresh_token)).status).toBe(200)
  })

  test('works for 30 s after its successor was first used, and gives a session that goes on', async () => {
    const person = await Person.signUp(gateway.url)
    const { refresh_token: spent } = person.session
    const second = await refresh(spent)
    expect((await refresh(second.body.refresh_token)).status).toBe(200)
    await letPass(person, 25)
    const again = await refresh(spent)
    expect(again.status).toBe(200)
    expect((await refresh(again.body.refresh_token)).status).toBe(200)
    expect((await me(again.body.access_token)).status).toBe(200)
  })

  test('used later revokes the whole device, and no other', async () => {
    const person = await Person.signUp(gateway.url)
    const other = await person.anotherDevice()
    const { refresh_token: spent, access_token } = person.session
    const second = await refresh(spent)
    const third = await refresh(second.body.refresh_token)
    await letPass(person, 31)
    expectProblem(await refresh(spent), 401, 'token_reused')
    expect((await refresh(third.body.refresh_token)).status).toBe(401)
    expect((await refresh(second.body.refresh_token)).status).toBe(401)
    for (const token of [access_token, second.body.access_token, third.body.access_token]) {
      expect((await me(token)).status).toBe(401)
    }
    expect((await other.call('GET', '/v1/sessions')).body.sessions).toHaveLength(1)
    expect((await refresh(other.session.refresh_token)).status).toBe(200)
  })

  test('that has expired or never was one is 401', async () => {
    const person = await Person.signUp(gateway.url)
    expectProblem(await refresh('never-was'), 401, 'token_invalid')
    expectProblem(await refresh(person.session.access_token), 401, 'token_invalid')
    await database.sql`UPDATE refresh_tokens SET expires_at = now() WHERE user_id = ${person.id}`
    expectProblem(await refresh(person.session.refresh_token), 401, 'token_invalid')
  })
})
