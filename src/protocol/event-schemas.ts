import { z } from 'zod'
import { conversation, message, presenceState } from './answer-schemas.ts'

/** The events of an inbox, for the OpenAPI document. Unknown types and fields are to be ignored. */

const fields = {
  id: z.int().meta({ description: 'Counts 1, 2, 3 … in this inbox, without a gap.' }),
  at: z.iso.datetime().meta({ description: 'RFC 3339, UTC, milliseconds.' }),
  conversation_id: z.uuid(),
}
const role = z.enum(['owner', 'admin', 'member'])

/** What of a conversation is the same for all its members. */
const shared = conversation
  .omit({ last_message: true, read_seq: true, unread_count: true, mention_count: true })
  .omit({ muted: true, hidden: true, role: true, peer: true })

function event<T extends string, S extends z.ZodRawShape>(types: [T, ...T[]], shape: S, description: string) {
  return z.object({ ...fields, type: z.enum(types), ...shape }).meta({ description })
}

const messageEvent = event(
  ['message.created', 'message.edited', 'message.deleted'],
  { message },
  'The message as it is now, also when it is read again later.',
)
const reactionEvent = event(
  ['reaction.added', 'reaction.removed'],
  { message_seq: z.int(), user_id: z.string(), emoji: z.string(), reactions: message.shape.reactions },
  'Who reacted; `reactions` are all of the message as they are now.',
)
const createdEvent = event(
  ['conversation.created'],
  {
    conversation: shared,
    role,
    read_seq: z.int().meta({ description: 'My read mark; what follows is unread.' }),
    peer_id: z.string().optional().meta({ description: 'The other one, in a direct conversation.' }),
    last_message: message.optional().meta({ description: 'The latest of a past that I may see.' }),
  },
  'It begins for me: it was made, or I was added.',
)
const updatedEvent = event(
  ['conversation.updated'],
  { conversation: shared },
  'Title, data or settings changed.',
)
const memberEvent = event(
  ['member.added', 'member.removed', 'member.updated'],
  {
    user_id: z.string(),
    role,
    members_count: z.int(),
    muted: z.boolean().optional(),
    hidden: z.boolean().optional(),
  },
  'About me, `member.removed` is the last event of the conversation; `muted` and `hidden` come to my own devices alone.',
)
const readEvent = event(
  ['conversation.read'],
  { seq: z.int(), unread_count: z.int(), mention_count: z.int() },
  'My read mark and counts, absolute: I moved the mark, or an edit or a deletion changed a count.',
)
const announcementEvent = event(
  ['announcement'],
  { announcement_id: z.uuid(), text: z.string() },
  'From the operator to everybody.',
).omit({
  conversation_id: true,
})
const redactedEvent = event(['redacted'], {}, 'Something that I may no longer see.').partial({
  conversation_id: true,
})

/** One event of an inbox, by its `type`. */
export const logEvent = z.union([
  messageEvent,
  reactionEvent,
  createdEvent,
  updatedEvent,
  memberEvent,
  readEvent,
  announcementEvent,
  redactedEvent,
])

const passing = z.object({
  id: z.null().meta({ description: 'In no log: no cursor moves, and who does not listen misses it.' }),
  at: fields.at,
  user_id: z.string(),
})
const typingEvent = passing
  .extend({
    type: z.enum(['typing']),
    conversation_id: fields.conversation_id,
    expires_in: z.int().meta({ description: 'Seconds until it is over, unless it is said again.' }),
  })
  .meta({ description: 'Somebody else types. A message of theirs ends it.' })
const receiptEvent = passing
  .extend({ type: z.enum(['receipt.read']), conversation_id: fields.conversation_id, seq: z.int() })
  .meta({ description: 'How far another member has read; of several in a second the newest.' })
const presenceEvent = passing
  .extend({ type: z.enum(['presence.changed']), ...presenceState.shape })
  .meta({ description: 'Somebody came or went, with whom I share a direct conversation or a small group.' })

/** One event that passes, by its `type`. */
const passingEvent = z.union([typingEvent, receiptEvent, presenceEvent])

/** What a poll answers. */
export const poll = z.object({
  cursor: z.string(),
  events: z.array(z.union([logEvent, passingEvent])),
  has_more: z.boolean(),
  reset: z.enum(['expired', 'unknown']).optional(),
})
