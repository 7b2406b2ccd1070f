import { z } from 'zod'

/** What the wire gives, for the OpenAPI document. */

export const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC, milliseconds.' })

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
export const device = z.object({
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
const sharedConversationFields = {
  id: z.uuid(),
  kind: z.enum(['direct', 'group']),
  title: z.string().nullable(),
  data: dataOut,
  created_at: time,
  last_seq: z.int(),
  members_count: z.int(),
  history: z.enum(['joined', 'all']),
  system_messages: z.boolean(),
}
/** What is the same for all members. */
export const sharedConversation = z.object(sharedConversationFields)
export const conversation = z.object({
  ...sharedConversationFields,
  last_message: message.nullable(),
  read_seq: z.int(),
  unread_count: z.int(),
  mention_count: z.int(),
  muted: z.boolean(),
  hidden: z.boolean(),
  role: z.enum(['owner', 'admin', 'member']),
  peer: user.optional(),
})
export const blocked = z.object({ users: z.array(user), next: z.string().nullable() })
export const announcements = z.object({
  announcements: z.array(z.object({ id: z.uuid(), text: z.string(), created_at: time })),
  next: z.uuid().nullable(),
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
export const members = z.object({
  members: z.array(member),
  has_more: z.boolean(),
  next: z.string().nullable(),
})
export const messages = z.object({ messages: z.array(message), has_more: z.boolean() })
const place = z.tuple([z.int(), z.int()])
const snippet = z.object({ text: z.string(), highlights: z.array(place) }).meta({
  description:
    'Plain text around the first thing found, and where something was found in it: `[from, to)` in code points of `text`. There is no markup in it: show it as text.',
})
export const foundMessages = z.object({
  messages: z.array(message.extend({ snippet })),
  next: z.string().nullable(),
})
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
export const presenceState = z.object({
  user_id: z.string(),
  status: z.enum(['online', 'offline']),
  last_active_at: time.nullable().meta({
    description: 'When one of their devices was last there and did not say that nobody is looking.',
  }),
})
export const presence = z.object({ presence: z.array(presenceState), has_more: z.boolean() })
export const gateway = z.object({
  name: z.string(),
  version: z.string(),
  transports: z.array(z.string()),
  endpoints: z.array(z.string()),
  limits: z.record(z.string(), z.int()),
  vapid_public_key: z.string(),
})
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
