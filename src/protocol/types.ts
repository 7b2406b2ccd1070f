/** The things of the wire, as JSON carries them. Times: RFC 3339, UTC, milliseconds. */

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type Data = { [name: string]: Json }

export type User = {
  id: string
  username: string | null
  display_name: string
  created_at: string
  data: Data
}

export type Role = 'owner' | 'admin' | 'member'
export type Member = {
  user_id: string
  display_name: string
  role: Role
  joined_at: string
  read_seq: number
}

/** Who reacted with one emoji; `user_ids` are the first 20. */
export type Reaction = { emoji: string; count: number; user_ids: string[] }

export type Message = {
  id: string
  conversation_id: string
  /** Counts 1, 2, 3 … in its conversation without a gap. */
  seq: number
  kind: 'user' | 'system'
  sender_id: string | null
  text: string
  /** Whether `text` was cut; the whole is in the message's own resource. */
  truncated: boolean
  client_id: string | null
  created_at: string
  edited_at: string | null
  deleted_at: string | null
  /** The `seq` of the message this one answers. */
  reply_to: number | null
  mentions: string[]
  reactions: Reaction[]
  data: Data
}

/** A piece of a text, and the places in it where something was found: `[from, to)` in code points. Never markup. */
export type Snippet = { text: string; highlights: [from: number, to: number][] }

export type FoundMessage = Message & { snippet: Snippet }

/** What of a conversation is the same for all its members. */
export type SharedConversation = {
  id: string
  kind: 'direct' | 'group'
  title: string | null
  data: Data
  created_at: string
  last_seq: number
  members_count: number
  history: 'joined' | 'all'
  /** Whether joins, leaves and titles are told by messages of kind "system". */
  system_messages: boolean
}

/** A conversation as one of its members sees it. */
export type Conversation = SharedConversation & {
  last_message: Message | null
  read_seq: number
  unread_count: number
  mention_count: number
  muted: boolean
  hidden: boolean
  role: Role
  /** The other one, in a direct conversation. */
  peer?: User
}

export type PresenceState = {
  user_id: string
  status: 'online' | 'offline'
  /** When one of their devices was last there and did not say that nobody is looking; null if that never was. */
  last_active_at: string | null
}

export type EventType =
  | 'message.created'
  | 'message.edited'
  | 'message.deleted'
  | 'reaction.added'
  | 'reaction.removed'
  | 'conversation.created'
  | 'conversation.updated'
  | 'conversation.read'
  | 'member.added'
  | 'member.removed'
  | 'member.updated'
  | 'announcement'
  | 'redacted'

export type ByeReason =
  | 'draining'
  | 'max_age'
  | 'signed_out'
  | 'token_expired'
  | 'ticket_expired'
  | 'slow_consumer'
  | 'unavailable'
  | 'rate_limited'

export type ResetReason = 'expired' | 'unknown'
