import { z } from 'zod'
import {
  DEFAULT_EVENTS_LIMIT,
  DEFAULT_HEARTBEAT_SECONDS,
  DEFAULT_WAIT_SECONDS,
  MAX_BATCH_MESSAGES,
  MAX_DATA_BYTES,
  MAX_EVENTS_LIMIT,
  MAX_HEARTBEAT_SECONDS,
  MAX_PADDING_BYTES,
  MAX_TEXT_LENGTH,
  MAX_WAIT_SECONDS,
  MIN_HEARTBEAT_SECONDS,
} from './constants.ts'
import type { ProblemCode } from './problems.ts'
import type { Data } from './types.ts'

/** Schemas of what the wire takes and gives; the server validates with them, the OpenAPI document is made of them. */

/** Unicode code points; a well-formed surrogate pair counts once. */
function codePoints(text: string): number {
  let pairs = 0
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit <= 0xdbff) {
      pairs += 1
      i += 1
    }
  }
  return text.length - pairs
}

/** Why a text is no text, if so: Postgres takes no NUL, UTF-8 no lone surrogate. */
function flaw(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL (U+0000)'
  return text.isWellFormed() ? undefined : 'must not contain a lone surrogate'
}

/** A text of `min` to `max` code points; over that the problem is `code`. */
function words(min: number, max: number, code: ProblemCode = 'validation_failed') {
  return z
    .string({ error: 'must be a string' })
    .superRefine((value, context) => {
      const wrong = flaw(value)
      if (wrong) context.addIssue({ code: 'custom', message: wrong })
      else if (value.length > max && codePoints(value) > max) {
        context.addIssue({ code: 'custom', message: `must have at most ${max} characters`, params: { code } })
      } else if (value.length < min) {
        const message = min === 1 ? 'must not be empty' : `must have at least ${min} characters`
        context.addIssue({ code: 'custom', message })
      }
    })
    .meta({ minLength: min, maxLength: max })
}

const text = words(1, MAX_TEXT_LENGTH, 'text_too_long')
const userId = words(1, 128).meta({ description: 'Opaque, 1 to 128 characters.' })
const uuid = z.uuid({ error: 'must be a UUID' }).transform((value) => value.toLowerCase())
const seq = z.int({ error: 'must be a whole number' }).min(1, { error: 'must be at least 1' })
const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC, milliseconds.' })

/** Nothing for what is nested so deeply that it ends the stack: JSON.parse takes it, JSON.stringify does not. */
function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

const data = z
  .record(z.string(), z.unknown(), { error: 'must be an object' })
  .superRefine((value, context) => {
    const json = asJson(value)
    if (json === undefined) {
      context.addIssue({ code: 'custom', message: 'is nested too deeply' })
      return
    }
    if (new TextEncoder().encode(json).length > MAX_DATA_BYTES) {
      context.addIssue({ code: 'custom', message: `must have at most ${MAX_DATA_BYTES} bytes as JSON` })
    }
    // JSON.stringify writes these as escapes, so this finds them in names and values at any depth.
    if (/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/i.test(json)) {
      context.addIssue({ code: 'custom', message: 'must not contain NUL or lone surrogates' })
    }
  })
  .transform((value) => value as Data)
  .meta({ description: 'The product’s own JSON, up to 4 KB.', type: 'object' })

export function isUuid(text: string): boolean {
  return uuid.safeParse(text).success
}

/** A query parameter that is a whole number. */
function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,16}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
    .meta({ type: 'integer', minimum: min, maximum: max })
}

const seqParameter = whole(0, Number.MAX_SAFE_INTEGER)

/** The header that makes a creating request repeatable. */
export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,64}$/, { error: 'must be 1 to 64 visible ASCII characters' })

// What is sent

const username = z.string({ error: 'must be a string' }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: 'must have 1 to 64 letters, digits, dots, hyphens or underscores and begin with a letter or digit',
})
const password = words(8, 256)
const deviceFields = {
  device_name: words(1, 128).nullish(),
  cookie: z.boolean({ error: 'must be true or false' }).default(false),
}

export const signUpBody = z.object({
  username,
  password,
  display_name: words(1, 128).optional(),
  ...deviceFields,
})
export const signInBody = z.object({ username: words(1, 64), password: words(1, 256), ...deviceFields })
export const refreshBody = z.object({ refresh_token: words(1, 256) })
export const passwordBody = z.object({ old: words(1, 256), new: password })
export const userChangeBody = z.object({ display_name: words(1, 128).optional(), data: data.optional() })

export const newConversationBody = z.object({
  kind: z.enum(['direct', 'group'], { error: 'must be "direct" or "group"' }),
  members: z.array(userId, { error: 'must be a list of user ids' }).max(1_000),
  title: words(1, 256).nullish(),
  data: data.optional(),
  history: z.enum(['joined', 'all'], { error: 'must be "joined" or "all"' }).optional(),
})
export const conversationChangeBody = z.object({
  title: words(1, 256).nullish(),
  data: data.optional(),
  muted: z.boolean({ error: 'must be true or false' }).optional(),
  hidden: z.boolean({ error: 'must be true or false' }).optional(),
})
export const memberBody = z
  .object({
    role: z.enum(['owner', 'admin', 'member'], { error: 'must be "owner", "admin" or "member"' }).optional(),
  })
  .optional()
export const readBody = z.object({ seq: z.int({ error: 'must be a whole number' }).min(0) })

export const newMessageBody = z.object({
  text,
  client_id: idempotencyKey.nullish(),
  reply_to: seq.nullish(),
  data: data.nullish(),
})

const batchItem = z.union(
  [
    newMessageBody.extend({ conversation_id: uuid, client_id: idempotencyKey, to: z.undefined().optional() }),
    newMessageBody.omit({ reply_to: true }).extend({ to: z.array(userId).min(1), client_id: idempotencyKey }),
  ],
  { error: 'needs text, client_id and either conversation_id or to' },
)
/** Items are judged one by one: a bad one fails alone. */
export const batchBody = z.object({
  messages: z
    .array(z.unknown(), { error: 'must be a list of messages' })
    .min(1, { error: 'must hold at least one message' })
    .max(MAX_BATCH_MESSAGES, { error: `must hold at most ${MAX_BATCH_MESSAGES} messages` })
    .meta({ items: { type: 'object' } }),
})
export { batchItem }

export const cursorBody = z.object({
  cursor: z.string({ error: 'must be a cursor' }),
  active: z.boolean({ error: 'must be true or false' }).optional(),
})

// Parameters

export const conversationParams = z.object({ id: uuid })
export const memberParams = z.object({ id: uuid, user_id: userId })
export const messageParams = z.object({ id: uuid, seq: whole(1, Number.MAX_SAFE_INTEGER) })
export const userParams = z.object({ id: userId })
export const deviceParams = z.object({ device_id: words(1, 128) })

export const usersQuery = z.object({
  query: words(1, 128).optional(),
  ids: words(0, 13_000).optional().meta({ description: 'Several user ids, comma-separated.' }),
  limit: whole(1, 100).default(20),
})
export const conversationsQuery = z.object({
  limit: whole(1, 100).default(50),
  after: z.string().optional().meta({ description: 'The `next` of the page before.' }),
})
export const historyQuery = z.object({
  before_seq: seqParameter.optional(),
  after_seq: seqParameter.optional(),
  around_seq: seqParameter.optional(),
  limit: whole(1, 200).default(50),
})
export const messageQuery = z.object({
  text_from: whole(0, MAX_TEXT_LENGTH).default(0),
  text_limit: whole(1, MAX_TEXT_LENGTH).optional(),
})

/** The fields of `/v1/events`, in the query or, with POST, in a JSON body (where numbers may be numbers). */
const integer = (min: number, max: number) => ({ type: 'integer', minimum: min, maximum: max }) as const
const field = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (typeof value === 'number' ? String(value) : value), schema)
export const eventsQuery = z.object({
  as: z.enum(['sse', 'octet', 'poll'], { error: 'must be sse, octet or poll' }).optional(),
  wait: field(whole(0, MAX_WAIT_SECONDS).optional()).meta({
    description: `Seconds; ${DEFAULT_WAIT_SECONDS} if left out, 0 to answer at once.`,
    ...integer(0, MAX_WAIT_SECONDS),
  }),
  after: field(z.string().optional()).meta({
    description: 'A cursor, or 0 for the oldest event kept.',
    type: 'string',
  }),
  limit: field(whole(1, MAX_EVENTS_LIMIT).optional()).meta({
    description: `At most so many log events: polls, ${DEFAULT_EVENTS_LIMIT} if left out; a stream ends after them.`,
    ...integer(1, MAX_EVENTS_LIMIT),
  }),
  heartbeat: field(
    whole(MIN_HEARTBEAT_SECONDS, MAX_HEARTBEAT_SECONDS).default(DEFAULT_HEARTBEAT_SECONDS),
  ).meta(integer(MIN_HEARTBEAT_SECONDS, MAX_HEARTBEAT_SECONDS)),
  padding: field(whole(0, MAX_PADDING_BYTES).default(0)).meta(integer(0, MAX_PADDING_BYTES)),
  ticket: z.string().optional(),
})
export type EventsQuery = z.output<typeof eventsQuery>

// What is given

const dataOut = z.record(z.string(), z.unknown())
export const user = z.object({
  id: z.string(),
  username: z.string().nullable(),
  display_name: z.string(),
  created_at: time,
  data: dataOut,
})
export const users = z.object({ users: z.array(user), has_more: z.boolean() })
export const session = z.object({
  user,
  device_id: z.string(),
  access_token: z.string().optional(),
  token_type: z.literal('Bearer').optional(),
  expires_in: z.int().optional(),
  refresh_token: z.string().optional(),
})
const device = z.object({
  device_id: z.string(),
  name: z.string().nullable(),
  created_at: time,
  last_seen_at: time,
  current: z.boolean(),
})
export const sessions = z.object({ sessions: z.array(device), has_more: z.boolean() })
export const streamTicket = z.object({ ticket: z.string(), expires_in: z.int() })
export const message = z.object({
  id: z.uuid(),
  conversation_id: z.uuid(),
  seq: z.int(),
  kind: z.enum(['user', 'system']),
  sender_id: z.string().nullable(),
  text: z.string(),
  truncated: z.boolean(),
  client_id: z.string().nullable(),
  created_at: time,
  edited_at: time.nullable(),
  deleted_at: time.nullable(),
  reply_to: z.int().nullable(),
  mentions: z.array(z.string()),
  reactions: z.array(z.object({ emoji: z.string(), count: z.int(), user_ids: z.array(z.string()) })),
  data: dataOut,
})
export const conversation = z.object({
  id: z.uuid(),
  kind: z.enum(['direct', 'group']),
  title: z.string().nullable(),
  data: dataOut,
  created_at: time,
  last_seq: z.int(),
  members_count: z.int(),
  history: z.enum(['joined', 'all']),
  last_message: message.nullable(),
  read_seq: z.int(),
  unread_count: z.int(),
  mention_count: z.int(),
  muted: z.boolean(),
  hidden: z.boolean(),
  role: z.enum(['owner', 'admin', 'member']),
  peer: user.optional(),
})
export const conversations = z.object({
  conversations: z.array(conversation),
  next: z.string().nullable(),
  cursor: z.string(),
})
export const member = z.object({
  user_id: z.string(),
  display_name: z.string(),
  role: z.enum(['owner', 'admin', 'member']),
  joined_at: time,
  read_seq: z.int(),
})
export const members = z.object({ members: z.array(member), has_more: z.boolean() })
export const messages = z.object({ messages: z.array(message), has_more: z.boolean() })
const recipient = z.object({
  user_id: z.string(),
  status: z.int(),
  conversation_id: z.uuid().optional(),
  seq: z.int().optional(),
  code: z.string().optional(),
})
const batchResult = z.object({
  status: z.int(),
  message: message.optional(),
  recipients: z.array(recipient).optional(),
  code: z.string().optional(),
})
export const batchResults = z.object({ results: z.array(batchResult) })
export const gateway = z.object({
  name: z.string(),
  version: z.string(),
  transports: z.array(z.string()),
  endpoints: z.array(z.string()),
  limits: z.record(z.string(), z.int()),
  vapid_public_key: z.string().nullable(),
})
export const poll = z.object({
  cursor: z.string(),
  events: z.array(z.object({ id: z.int().nullable(), type: z.string(), at: time }).loose()),
  has_more: z.boolean(),
  reset: z.enum(['expired', 'unknown']).optional(),
})
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
