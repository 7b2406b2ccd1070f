import { z } from 'zod'
import { device, message, sharedConversation, time, user } from './answer-schemas.ts'
import { MAX_ANNOUNCEMENT_LENGTH } from './constants.ts'
import { data, deviceId, newUserId, userId, uuid, whole, words } from './field-schemas.ts'
import { newConversationBody, newMessageBody, password, username } from './request-schemas.ts'

/** What `/v1/admin` takes and gives: the product's back end, with the ADMIN_TOKEN. */

// Bodies

export const adminUserBody = z.object({
  id: newUserId.optional().meta({ description: 'The product’s own; made here if left out.' }),
  username: username.nullish(),
  display_name: words(1, 128),
  password: password.nullish(),
  data: data.optional(),
})
export const adminUserChangeBody = z.object({
  username: username.nullish().meta({ description: 'Null takes it away.' }),
  display_name: words(1, 128).optional(),
  password: password.nullish().meta({ description: 'Null takes it away; any change signs all devices out.' }),
  data: data.optional(),
})
export const adminSessionBody = z.object({ device_name: words(1, 128).nullish() }).optional()
export const adminConversationBody = newConversationBody.extend({
  owner: userId.nullish().meta({ description: 'Of a group; without one the back end looks after it.' }),
})
export const adminConversationChangeBody = z.object({
  title: words(1, 256).nullish(),
  data: data.optional(),
  system_messages: z.boolean({ error: 'must be true or false' }).optional(),
})
export const adminMessageBody = newMessageBody.extend({
  sender_id: userId.nullish().meta({ description: 'Without one it is a system message.' }),
})
export const broadcastBody = z.object({ text: words(1, MAX_ANNOUNCEMENT_LENGTH, 'text_too_long') })

// Parameters

export const adminSessionParams = z.object({ id: userId, device_id: deviceId })
export const broadcastParams = z.object({ id: uuid })
export const exportQuery = z.object({
  after: z.string().optional().meta({ description: 'The `next` of the page before.' }),
  limit: whole(1, 200).default(100),
})
export const usageQuery = z.object({ days: whole(1, 366).default(30) })

// Answers

const exportedSession = device.omit({ current: true })
export const adminSessions = z.object({ sessions: z.array(exportedSession), has_more: z.boolean() })
export const broadcast = z.object({
  id: z.uuid(),
  text: z.string(),
  created_at: time,
  recipients_done: z.int(),
  recipients_total: z.int().meta({ description: 'An estimate until it is completed.' }),
  completed_at: time.nullable(),
  withdrawn_at: time.nullable(),
})
export const broadcasts = z.object({ broadcasts: z.array(broadcast), next: z.uuid().nullable() })
export const erasure = z.object({
  user_id: z.string(),
  requested_at: time,
  messages_erased: z.int(),
  completed_at: time.nullable(),
})
export const userExport = z.object({
  user: user.optional().meta({ description: 'On the first page.' }),
  sessions: z.array(
    exportedSession.extend({
      push_subscription: z
        .object({ host: z.string(), created_at: time })
        .nullable()
        .meta({ description: 'Where it is woken; the rest of the endpoint is a secret.' }),
    }),
  ),
  conversations: z.array(
    sharedConversation.extend({
      role: z.enum(['owner', 'admin', 'member']),
      joined_at: time,
      read_seq: z.int(),
      muted: z.boolean(),
      hidden: z.boolean(),
    }),
  ),
  messages: z.array(message).meta({ description: 'With their whole texts.' }),
  next: z.string().nullable(),
})
export const usage = z.object({
  totals: z
    .object({ users: z.int(), devices: z.int(), conversations: z.int(), messages: z.int() })
    .meta({ description: 'Exact where there are few, else the database’s estimates.' }),
  days: z
    .array(z.object({ date: z.iso.date(), messages: z.int(), active_users: z.int() }))
    .meta({ description: 'UTC, latest first; the last quarter of a minute is not counted yet.' }),
})
