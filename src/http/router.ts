import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import type { z } from 'zod'
import { notFound, Problem } from '../protocol/problems.ts'
import { requireAdminToken } from './admin/access.ts'
import type { Authenticated } from './auth/authenticator.ts'
import { sessionCookie } from './auth/cookie.ts'
import { readJson } from './body.ts'
import { within } from './deadline.ts'
import { type Endpoint, parse, type Reply, type RequestFacts, readIdempotencyKey } from './endpoint.ts'
import { problemHeaders, toProblem } from './problem-answer.ts'
import type { Routes } from './routes.ts'
import type { Services } from './services.ts'

type Env = { Bindings: HttpBindings }

/** Whatever is not answered by then is not going to be: Postgres hangs, or is far behind. */
const ANSWER_WITHIN_MS = 10_000

/** The API over Hono: routing, and around each endpoint parsing, authentication and errors, the same for all. */
export function createRouter(services: Services, routes: Routes): Hono<Env> {
  const app = new Hono<Env>()
  const methods = new Map<string, string[]>()
  const { adminToken } = services.config
  for (const [method, path, endpoint] of routes) {
    if (endpoint.admin && adminToken === undefined) continue
    methods.set(path, [...(methods.get(path) ?? []), method])
    app.on(method, honoPath(path), (context) => serve(services, endpoint, context))
  }
  for (const [path, allowed] of methods) {
    app.all(honoPath(path), () => refuseMethod(allowed))
  }
  app.notFound(() =>
    problemResponse(new Problem('not_found', 'There is nothing at this path. See /openapi.json.')),
  )
  app.onError((error, context) => answerError(services, error, context))
  return app
}

function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}

function refuseMethod(allowed: string[]): Response {
  const names = allowed.join(', ')
  const problem = new Problem('method_not_allowed', `Use ${names} here.`)
  return problemResponse(problem, { Allow: names })
}

async function serve(services: Services, endpoint: Endpoint, context: Context<Env>): Promise<Response> {
  const { incoming } = context.env
  if (endpoint.admin) requireAdminToken(services.config.adminToken ?? '', incoming)
  const caller = endpoint.signedIn
    ? await within(ANSWER_WITHIN_MS, Promise.resolve(services.authenticator.authenticate(incoming)))
    : undefined
  const facts: RequestFacts = {
    incoming,
    path: context.req.path,
    address: services.origins.addressOf(incoming),
    secure: services.origins.isSecure(incoming),
    key: endpoint.creates ? readIdempotencyKey(incoming) : undefined,
  }
  if (caller && incoming.method !== 'GET') await services.limits.take('write', caller.user_id)
  const input = {
    params: endpoint.params && parsePath(endpoint.params, context),
    query: endpoint.query && parse(endpoint.query, context.req.query(), 'query'),
    body: endpoint.body && parse(endpoint.body, await readJson(incoming), 'body'),
    caller,
  }
  const reply = await within(ANSWER_WITHIN_MS, endpoint.handle(input as never, facts))
  return toResponse(renewed(reply, caller, facts))
}

const NAMED_BY: Record<string, string> = { seq: 'message', user_id: 'member', device_id: 'device' }
const KINDS: [RegExp, string][] = [
  [/^\/v1\/(admin\/)?users\//, 'user'],
  [/^\/v1\/admin\/broadcasts\//, 'broadcast'],
]

/** A malformed id is the id of nothing, and answered as such. */
function parsePath<S extends z.ZodType>(schema: S, { req }: Context<Env>): z.output<S> {
  const result = schema.safeParse(req.param())
  if (result.success) return result.data
  const parameter = String(result.error.issues[0]?.path[0])
  if (parameter === 'emoji') return parse(schema, req.param(), 'path')
  const kind = KINDS.find(([pattern]) => pattern.test(req.path))?.[1] ?? 'conversation'
  throw notFound(NAMED_BY[parameter] ?? kind)
}

/** A session that was extended just now is extended in the browser too, unless the reply sets a cookie itself. */
function renewed(reply: Reply, caller: Authenticated | undefined, { secure }: RequestFacts): Reply {
  if (!caller?.renewCookie || reply.headers?.['Set-Cookie']) return reply
  return { ...reply, headers: { ...reply.headers, 'Set-Cookie': sessionCookie(caller.renewCookie, secure) } }
}

function toResponse({ status, body, headers }: Reply): Response {
  if (body === undefined) return new Response(null, { status, ...(headers && { headers }) })
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
  })
}

function answerError(services: Services, error: Error, context: Context<Env>): Response {
  const problem = toProblem(error)
  if (problem.code === 'internal') {
    const requestId = context.env.outgoing.getHeader('X-Request-Id')
    services.log.error({ err: problem.cause ?? error, requestId }, 'request failed')
  }
  return problemResponse(problem)
}

function problemResponse(problem: Problem, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { ...problemHeaders(problem), ...headers },
  })
}
