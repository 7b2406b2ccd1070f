import { ACCESS_TOKEN_SECONDS, STREAM_TICKET_SECONDS } from '../protocol/constants.ts'
import { notFound, Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import type { User } from '../protocol/types.ts'
import type { Transaction } from '../store/database.ts'
import { createUser, fold, holdUser } from '../store/users.ts'
import { endedCookie, sessionCookie } from './auth/cookie.ts'
import { creating } from './creating.ts'
import { endpoint, type Reply, type RequestFacts } from './endpoint.ts'
import { fitting } from './fitting.ts'
import type { Services } from './services.ts'

const TAG = 'Accounts and devices'

export type SignIn = { device_name?: string | null | undefined; cookie: boolean }

/** A Session with a cookie secret beside it, which becomes a header on the way out and is never in a body. */
export type Opened = { session: Record<string, unknown>; cookie?: string }

/** Signs somebody in as a new device. */
export async function openSession(
  services: Services,
  tx: Transaction,
  user: User,
  given: SignIn,
): Promise<Opened> {
  const name = given.device_name ?? null
  if (given.cookie) {
    const { device_id, cookie } = await services.devices.createWithCookie(tx, user.id, name)
    return { session: { user, device_id }, cookie }
  }
  const { device_id, refresh_token } = await services.devices.createWithRefreshToken(tx, user.id, name)
  return { session: await bearerSession(services, user, device_id, refresh_token) }
}

async function bearerSession({ tokens }: Services, user: User, device_id: string, refresh_token: string) {
  const access_token = await tokens.sign(user.id, device_id)
  return {
    user,
    device_id,
    access_token,
    token_type: 'Bearer',
    expires_in: ACCESS_TOKEN_SECONDS,
    refresh_token,
  }
}

/** First answers are kept with the cookie's secret, so that a repeated request signs the browser in all the same. */
function withCookie(reply: Reply, { secure }: RequestFacts): Reply {
  const { session, cookie } = reply.body as Opened
  const headers = { ...reply.headers, ...(cookie && { 'Set-Cookie': sessionCookie(cookie, secure) }) }
  return { status: reply.status, body: session, headers }
}

export const signUp = (services: Services) =>
  endpoint({
    summary: 'Create an account and sign in',
    tag: TAG,
    signedIn: false,
    creates: true,
    body: schemas.signUpBody,
    answers: { 201: { description: 'The account’s first session.', schema: schemas.session } },
    problems: ['username_taken', 'signup_closed', 'rate_limited'],
    async handle({ body }, facts) {
      if (!services.config.signup) {
        throw new Problem('signup_closed', 'Accounts are made by the operator here. Ask them for one.')
      }
      await services.limits.take('sign_up', facts.address)
      const password_hash = await services.passwords.hash(body.password)
      const given = { sender: `name:${fold(body.username)}`, request: body }
      const reply = await creating(services, facts, given, async ({ tx }) => {
        const display_name = body.display_name ?? body.username
        const user = await createUser(tx, { username: body.username, display_name, password_hash })
        return { status: 201, body: await openSession(services, tx, user, body) }
      })
      return withCookie(reply, facts)
    },
  })

export const signIn = (services: Services) =>
  endpoint({
    summary: 'Sign in as a new device',
    tag: TAG,
    signedIn: false,
    creates: true,
    body: schemas.signInBody,
    answers: { 201: { description: 'The new device’s session.', schema: schemas.session } },
    problems: ['bad_credentials', 'rate_limited'],
    async handle({ body }, facts) {
      const attempts = `${fold(body.username)} ${facts.address}`
      await services.limits.check('failed_sign_in', attempts)
      const found = await services.users.findForSignIn(body.username)
      if (!(await services.passwords.matches(found?.password_hash, body.password)) || !found) {
        await services.limits.take('failed_sign_in', attempts)
        throw badCredentials()
      }
      const given = { sender: `sign-in:${found.user.id}`, request: body }
      const reply = await creating(services, facts, given, async ({ tx }) => {
        // Judging a password takes long enough for an erasure.
        if (!(await holdUser(tx, found.user.id))) throw badCredentials()
        return { status: 201, body: await openSession(services, tx, found.user, body) }
      })
      return withCookie(reply, facts)
    },
  })

function badCredentials(): Problem {
  return new Problem('bad_credentials', 'The user name or the password is wrong. Try again.')
}

export const refresh = (services: Services) =>
  endpoint({
    summary: 'Exchange a refresh token for a new session of the same device',
    tag: TAG,
    signedIn: false,
    body: schemas.refreshBody,
    answers: { 200: { description: 'The session, its refresh token rotated.', schema: schemas.session } },
    problems: ['token_invalid', 'token_reused'],
    async handle({ body }) {
      const refreshed = await services.devices.refresh(body.refresh_token)
      if ('revoked_at' in refreshed) {
        services.revocations.revoke(refreshed)
        throw new Problem(
          'token_reused',
          'This refresh token was spent before, so its device was signed out. Sign in again.',
        )
      }
      const { user_id, device_id, refresh_token } = refreshed
      const user = await services.users.get(user_id)
      if (!user) throw new Problem('token_invalid', 'The account no longer exists.')
      return { status: 200, body: await bearerSession(services, user, device_id, refresh_token) }
    },
  })

export const listSessions = (services: Services) =>
  endpoint({
    summary: 'My devices',
    tag: TAG,
    signedIn: true,
    answers: { 200: { description: 'Latest first.', schema: schemas.sessions } },
    async handle({ caller }) {
      const devices = await services.devices.list(caller.user_id)
      const sessions = devices.map(({ id, name, created_at, last_seen_at }) => ({
        device_id: id,
        name,
        created_at: created_at.toISOString(),
        last_seen_at: last_seen_at.toISOString(),
        current: id === caller.device_id,
      }))
      const { items, cut } = fitting(sessions)
      return { status: 200, body: { sessions: items, has_more: cut } }
    },
  })

export const signOut = (services: Services) =>
  endpoint({
    summary: 'Sign a device out, or the `current` one',
    tag: TAG,
    signedIn: true,
    params: schemas.deviceParams,
    answers: { 204: { description: 'Its tokens are void; its streams and polls end within 5 s.' } },
    problems: ['not_found'],
    async handle({ params, caller }, { secure }) {
      const device_id = params.device_id === 'current' ? caller.device_id : params.device_id
      const removed = await services.devices.remove(caller.user_id, device_id)
      if (!removed) throw notFound('device')
      services.revocations.revoke(removed)
      const ended = caller.via === 'cookie' && device_id === caller.device_id
      return { status: 204, ...(ended && { headers: { 'Set-Cookie': endedCookie(secure) } }) }
    },
  })

export const changePassword = (services: Services) =>
  endpoint({
    summary: 'Change my password; other devices are signed out',
    tag: TAG,
    signedIn: true,
    body: schemas.passwordBody,
    answers: { 204: { description: 'Changed.' } },
    problems: ['bad_credentials', 'rate_limited'],
    async handle({ body, caller }, facts) {
      const attempts = `${caller.user_id} ${facts.address}`
      await services.limits.check('failed_sign_in', attempts)
      const found = await services.users.findForPasswordChange(caller.user_id)
      if (!(await services.passwords.matches(found?.password_hash, body.old))) {
        await services.limits.take('failed_sign_in', attempts)
        throw new Problem('bad_credentials', 'The old password is wrong. Try again.')
      }
      const password_hash = await services.passwords.hash(body.new)
      const others = await services.database.transaction(async (tx) => {
        await services.users.setPassword(tx, caller.user_id, password_hash)
        return services.devices.removeOthers(tx, caller)
      })
      for (const device of others) services.revocations.revoke(device)
      return { status: 204 }
    },
  })

export const createStreamTicket = (services: Services) =>
  endpoint({
    summary: 'A ticket that opens `/v1/events` for a minute, where no header can be set',
    tag: TAG,
    signedIn: true,
    creates: true,
    answers: { 201: { description: 'The ticket.', schema: schemas.streamTicket } },
    async handle({ caller }, facts) {
      const given = { sender: caller.user_id, request: caller.device_id }
      // A provider's token ends what its ticket opens; a session of ours outlives its tokens.
      const ends_at = caller.issued_at === undefined ? null : new Date(caller.expires_at)
      return creating(services, facts, given, async ({ tx }) => {
        const ticket = await services.devices.createTicket(tx, { ...caller, ends_at })
        return { status: 201, body: { ticket, expires_in: STREAM_TICKET_SECONDS } }
      })
    },
  })
