import { z } from 'zod'
import {
  DEFAULT_EVENTS_LIMIT,
  DEFAULT_HEARTBEAT_SECONDS,
  DEFAULT_WAIT_SECONDS,
  MAX_BATCH_MESSAGES,
  MAX_EVENTS_LIMIT,
  MAX_HEARTBEAT_SECONDS,
  MAX_PADDING_BYTES,
  MAX_PRESENCE_IDS,
  MAX_TEXT_LENGTH,
  MAX_WAIT_SECONDS,
  MIN_HEARTBEAT_SECONDS,
} from './constants.ts'
import {
  data,
  deviceId,
  emoji,
  idempotencyKey,
  seq,
  seqParameter,
  text,
  userId,
  uuid,
  whole,
  words,
} from './field-schemas.ts'

/** What the wire takes: the server validates with these, and the OpenAPI document is made of them. */

// Bodies

const flag = z.boolean({ error: 'must be true or false' })
export const username = z.string({ error: 'must be a string' }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: 'must have 1 to 64 letters, digits, dots, hyphens or underscores and begin with a letter or digit',
})
export const password = words(8, 256)
const deviceFields = {
  device_name: words(1, 128).nullish(),
  cookie: flag.default(false),
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
  system_messages: flag.optional(),
})
export const conversationChangeBody = z.object({
  title: words(1, 256).nullish(),
  data: data.optional(),
  system_messages: flag.optional(),
  muted: flag.optional(),
  hidden: flag.optional(),
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

export const messageChangeBody = z
  .object({ text: text.optional(), data: data.nullish() })
  .refine((change) => change.text !== undefined || change.data !== undefined, {
    error: 'needs text or data',
  })

export const batchItem = z.union(
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

export const cursorBody = z.object({
  cursor: z.string({ error: 'must be a cursor' }),
  active: flag.optional().meta({
    description:
      'Whether a person is looking: the page is visible, and was touched in the last three minutes.',
  }),
})

// Parameters

export const conversationParams = z.object({ id: uuid })
export const memberParams = z.object({ id: uuid, user_id: userId })
export const messageParams = z.object({ id: uuid, seq: whole(1, Number.MAX_SAFE_INTEGER) })
export const reactionParams = messageParams.extend({ emoji })
export const userParams = z.object({ id: userId })
export const deviceParams = z.object({ device_id: deviceId })
export const blockParams = z.object({ user_id: userId })

export const usersQuery = z.object({
  query: words(1, 128).optional(),
  ids: words(0, 13_000).optional().meta({ description: 'Several user ids, comma-separated.' }),
  limit: whole(1, 100).default(20),
})
export const presenceQuery = z.object({
  user_ids: words(1, 13_000).meta({
    description: `Up to ${MAX_PRESENCE_IDS} user ids, comma-separated.`,
  }),
})
export const blocksQuery = z.object({
  limit: whole(1, 100).default(50),
  after: words(0, 128).default('').meta({ description: 'The `next` of the page before.' }),
})
export const announcementsQuery = z.object({
  limit: whole(1, 100).default(20),
  before: uuid.optional().meta({ description: 'The `next` of the page before.' }),
})
export const membersQuery = z.object({
  after: userId.optional().meta({ description: 'The `next` of the page before.' }),
})
export const conversationsQuery = z.object({
  limit: whole(1, 100).default(50),
  after: z.string().optional().meta({ description: 'The `next` of the page before.' }),
  hidden: z
    .enum(['true', 'false'], { error: 'must be true or false' })
    .default('false')
    .transform((value) => value === 'true')
    .meta({
      description: 'Those that I have hidden instead; a new message shows one again.',
      type: 'boolean',
    }),
})
export const historyQuery = z.object({
  before_seq: seqParameter.optional(),
  after_seq: seqParameter.optional(),
  around_seq: seqParameter.optional(),
  limit: whole(1, 200).default(50),
})
export const searchQuery = z.object({
  query: words(1, 256).meta({
    description:
      'Words that all have to be there, without regard to case and accents; the last may be a beginning of three letters or more. `"…"` is a phrase, `@name` a mention.',
  }),
  conversation_id: uuid.optional(),
  order: z
    .enum(['time', 'rank'], { error: 'must be "time" or "rank"' })
    .default('time')
    .meta({ description: '`time`: newest first; `rank`: of the newest 500 found, the best first.' }),
  limit: whole(1, 50).default(20),
  before: z.string().optional().meta({ description: 'The `next` of the page before.' }),
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
