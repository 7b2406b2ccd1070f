import type { EventType, Message, SharedConversation } from './types.ts'

/** An event as it is the same for all its receivers: encoded once, whatever their number. */
export type EventBody = {
  readonly type: EventType
  readonly conversation_id: string | null
  /** Whom a `member.*` event is about. */
  readonly user_id?: string | undefined
  /** The event's JSON from behind its `id` to the closing brace. */
  readonly json: string
}

/** A place in one inbox and what stands there. */
export type LogEvent = { readonly id: number; readonly body: EventBody }

/** Word of a committed event for whoever reads one inbox; without a body where that is too large to carry. */
export type Hint = {
  readonly id: number
  /** The life of the database in which it was committed: in another one `id` is another event. */
  readonly database_epoch: string
  readonly body?: EventBody | undefined
}

/** A committed event: who got it, each under which id of their inbox. */
export type Announcement = {
  readonly recipients: readonly string[]
  readonly ids: readonly number[]
  readonly database_epoch: string
  readonly body: EventBody
  /** What may wake people who are away; not carried to other nodes. */
  readonly news?: News | undefined
}

/** `about`: the conversation or the announcement; `by` needs no waking. */
type News = { readonly about: string; readonly seq: number; readonly by: string | null }

/** An announcement as it comes from another node: its body is left out where it is too large to carry. */
export type HintsForMany = Omit<Announcement, 'body' | 'news'> & Pick<Hint, 'body'>

export type EventFields = {
  type: EventType
  at: string
  conversation_id?: string
  user_id?: string
  role?: string
  members_count?: number
  message?: Message
  conversation?: SharedConversation
  [field: string]: unknown
}

/** Encodes an event's shared part. `fields` appear in the order given. */
export function encodeEvent(fields: EventFields): EventBody {
  return {
    type: fields.type,
    conversation_id: fields.conversation_id ?? null,
    user_id: fields.user_id,
    json: JSON.stringify(fields).slice(1),
  }
}

/** The whole event as JSON. */
export function eventJson(event: LogEvent): string {
  return `{"id":${event.id},${event.body.json}`
}
