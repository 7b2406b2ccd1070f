import type { PassingFields } from '../protocol/passing.ts'
import type { Message, Reaction, Role, SharedConversation } from '../protocol/types.ts'

type MemberFields = { user_id: string; role: Role; members_count: number }
type MessageEvent = { type: 'message.created' | 'message.edited' | 'message.deleted'; message: Message }
type ReactionEvent = {
  type: 'reaction.added' | 'reaction.removed'
  message_seq: number
  reactions: Reaction[]
}
export type CreatedEvent = {
  type: 'conversation.created'
  conversation: SharedConversation
  role: Role
  read_seq: number
  peer_id?: string
  last_message?: Message
}

export type AnnouncementEvent = {
  id: number
  at: string
  type: 'announcement'
  announcement_id: string
  text: string
}

/** The events of conversations that this page shows something of. */
export type InboxEvent = { id: number; at: string; conversation_id: string } & (
  | MessageEvent
  | ReactionEvent
  | CreatedEvent
  | { type: 'conversation.updated'; conversation: SharedConversation }
  | ({ type: 'member.added' | 'member.removed' } & MemberFields)
  | ({ type: 'member.updated'; muted?: boolean; hidden?: boolean } & MemberFields)
  | { type: 'conversation.read'; seq: number; unread_count: number; mention_count: number }
)

/** Events that are in no log: they move no cursor. */
export type PassingWireEvent = { id: null } & PassingFields
