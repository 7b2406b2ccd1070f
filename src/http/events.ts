import type { IncomingMessage, ServerResponse } from 'node:http'
import { poll } from '../delivery/poll.ts'
import { SseStream, type StreamOptions, sayBye } from '../delivery/sse.ts'
import { Feed } from '../live/feed.ts'
import { DEFAULT_EVENTS_LIMIT, DEFAULT_WAIT_SECONDS } from '../protocol/constants.ts'
import { type Cursor, parseCursor, type Start } from '../protocol/cursor.ts'
import { Problem } from '../protocol/problems.ts'
import { type EventsQuery, eventsQuery } from '../protocol/schemas.ts'
import type { Authenticated } from './auth/authenticator.ts'
import { sessionCookie } from './auth/cookie.ts'
import type { Caller } from './auth/tokens.ts'
import { readJson } from './body.ts'
import { within } from './deadline.ts'
import { malformedCursor } from './devices.ts'
import { parse } from './endpoint.ts'
import { toProblem } from './problem-answer.ts'
import type { Services } from './services.ts'

/** Streams end by themselves after so long, so that nodes stay evenly loaded. */
const MAX_AGE_MS = 4 * 3_600_000
/** Opening a feed takes one query; a database that does not answer is as good as away. */
const OPEN_WITHIN_MS = 8_000
/** A poll's answer waits so long for its acknowledgement, so that the next request finds it. */
const ACKNOWLEDGE_WITHIN_MS = 1_000

type Form = 'text/event-stream' | 'application/octet-stream' | 'poll'

/**
 * `/v1/events`: one inbox, read as a stream, a long-poll or a poll. Dispatched before the router, as it is the one route
 * that streams: nothing else touches its answer. Throws Problem while an answer can still be chosen.
 */
export async function serveEvents(
  services: Services,
  incoming: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  let isGone = false
  response.once('close', () => {
    isGone = true
  })
  const fields = { ...Object.fromEntries(url.searchParams), ...(await bodyFields(incoming)) }
  const form = formOf(incoming, fields.as)
  try {
    const query = parse(eventsQuery, fields, 'request')
    const caller = await identify(services, incoming, query)
    // Who only reads would else lose the cookie after 30 days: the extension is told once.
    if (caller.renewCookie) {
      const secure = services.origins.isSecure(incoming)
      response.setHeader('Set-Cookie', sessionCookie(caller.renewCookie, secure))
    }
    const asked = startOf(incoming, query)
    const start = asked ?? (await within(OPEN_WITHIN_MS, services.devices.storedCursor(caller))) ?? 'head'
    // Whoever does not wait wants what is there now, wherever it was sent.
    const exact = form === 'poll' && query.wait === 0
    const { user_id: userId, device_id: deviceId, issued_at: issuedAt } = caller
    const request = { userId, deviceId, issuedAt, start, exact }
    const feed = await within(OPEN_WITHIN_MS, Feed.open(services.hub, services.inbox, request), dispose)
    refuseSignedOut(services, caller, feed)
    const isGood = typeof asked === 'object' && !feed.opening.reset
    const acknowledged = isGood ? acknowledge(services, caller, asked) : undefined
    // Its 'close' is over: nobody would end what is begun now.
    if (isGone) {
      dispose(feed)
      return
    }
    beThere(services, response, caller)
    if (form === 'poll') await answerPoll(services, response, feed, query, acknowledged)
    else {
      forgetHeaders(incoming)
      openStream(services, response, feed, { form, query, caller })
    }
  } catch (error) {
    const reason = form === 'poll' || response.headersSent ? undefined : reasonFor(toProblem(error))
    if (!reason || form === 'poll') throw error
    services.log.debug({ err: error }, 'stream refused')
    sayBye(response, form, reason)
  }
}

function dispose(feed: Feed): void {
  feed[Symbol.dispose]()
}

/** Whoever reads is there, until the answer has ended or the connection has. */
function beThere({ presence }: Services, response: ServerResponse, { user_id, device_id }: Caller): void {
  const visit = presence.arrive({ user_id, device_id })
  response.once('close', () => visit[Symbol.dispose]())
}

/** Whoever was signed out before the feed could be told of it, while it was being opened. */
function refuseSignedOut({ revocations }: Services, caller: Caller, feed: Feed): void {
  if (!revocations.has(caller)) return
  dispose(feed)
  throw new Problem('signed_out', 'This device was signed out. Sign in again.')
}

async function bodyFields(incoming: IncomingMessage): Promise<Record<string, unknown>> {
  const body = incoming.method === 'POST' ? await readJson(incoming) : undefined
  if (body === undefined) return {}
  if (typeof body === 'object' && body !== null && !Array.isArray(body))
    return body as Record<string, unknown>
  throw new Problem('validation_failed', 'Send the fields as a JSON object, such as {"wait": 25}.')
}

/** `as` wins over `Accept`, which a proxy may change. */
function formOf(incoming: IncomingMessage, as: unknown): Form {
  if (as === 'poll') return 'poll'
  if (as === 'sse') return 'text/event-stream'
  if (as === 'octet') return 'application/octet-stream'
  const accept = incoming.headers.accept ?? ''
  if (accept.includes('text/event-stream')) return 'text/event-stream'
  return accept.includes('application/octet-stream') ? 'application/octet-stream' : 'poll'
}

async function identify(
  { authenticator }: Services,
  incoming: IncomingMessage,
  query: EventsQuery,
): Promise<Authenticated> {
  if (query.ticket !== undefined && incoming.headers.authorization === undefined) {
    return within(OPEN_WITHIN_MS, authenticator.byTicket(query.ticket))
  }
  return within(OPEN_WITHIN_MS, Promise.resolve(authenticator.authenticate(incoming)))
}

/** The header wins: an `EventSource` repeats its first URL when it reconnects. Throws Problem malformed_cursor. */
function startOf(incoming: IncomingMessage, query: EventsQuery): Start | undefined {
  const header = incoming.headers['last-event-id']
  const text = typeof header === 'string' && header !== '' ? header : query.after
  if (text === undefined || text === '') return undefined
  if (text === '0') return 'oldest'
  const cursor = parseCursor(text)
  if (!cursor) throw malformedCursor()
  return cursor
}

/** Asking with a good cursor acknowledges all up to it. Resolves when that is written, or could not be for now. */
async function acknowledge(
  { acknowledgements, log }: Services,
  caller: Caller,
  cursor: Cursor,
): Promise<void> {
  const { user_id, device_id } = caller
  try {
    await within(ACKNOWLEDGE_WITHIN_MS, acknowledgements.record({ user_id, device_id, cursor }))
  } catch (error) {
    log.debug({ err: error }, 'acknowledgement not written')
  }
}

async function answerPoll(
  services: Services,
  response: ServerResponse,
  feed: Feed,
  query: EventsQuery,
  acknowledged: Promise<void> | undefined,
): Promise<void> {
  const body = await poll(feed, services.delivery, {
    limit: query.limit ?? DEFAULT_EVENTS_LIMIT,
    waitMs: services.delivery.isDraining ? 0 : (query.wait ?? DEFAULT_WAIT_SECONDS) * 1_000,
    onOpen: (drain) => response.once('close', drain),
  })
  await acknowledged
  if (response.destroyed) return
  // It may have begun to drain while this waited; the next request would meet a closed door here.
  if (services.delivery.isDraining && response.req.httpVersionMajor === 1)
    response.setHeader('Connection', 'close')
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

function openStream(
  { delivery }: Services,
  response: ServerResponse,
  feed: Feed,
  { form, query, caller }: { form: StreamOptions['contentType']; query: EventsQuery; caller: Caller },
): void {
  const now = performance.now()
  const aged = now + MAX_AGE_MS * (0.9 + Math.random() * 0.1)
  const expired = now + caller.expires_at - delivery.now()
  const stream = new SseStream(response, feed, delivery, {
    contentType: form,
    heartbeatMs: query.heartbeat * 1_000,
    padding: query.padding,
    limit: query.limit,
    deadline: expired < aged ? { at: expired, reason: 'token_expired' } : { at: aged, reason: 'max_age' },
  })
  stream.open()
}

/** A stream lives for hours and its request with it: what the request said is not needed any more. */
function forgetHeaders(incoming: IncomingMessage): void {
  if (incoming.httpVersionMajor !== 1) return
  incoming.rawHeaders = []
  incoming.headers = {}
}

/** Why a stream cannot be served just now. Nothing for what repeating would not mend: that is an error. */
function reasonFor({ code }: Problem) {
  if (code === 'unavailable') return 'unavailable'
  if (code === 'rate_limited') return 'rate_limited'
  return code === 'ticket_expired' ? 'ticket_expired' : undefined
}
