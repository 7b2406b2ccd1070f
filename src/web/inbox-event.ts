import type { PassingFields } from '../protocol/passing.ts'
import type { Message, SharedConversation } from '../protocol/types.ts'

/** The events of the inbox that this page shows something of. */
export type InboxEvent = { id: number; at: string; conversation_id: string } & (
  | { type: 'message.created' | 'message.edited' | 'message.deleted'; message: Message }
  | { type: 'conversation.created' | 'conversation.updated'; conversation: SharedConversation }
  | { type: 'member.added' | 'member.removed' | 'member.updated'; user_id: string; members_count: number }
  | { type: 'conversation.read'; seq: number; unread_count: number; mention_count: number }
)

/** Events that are in no log: they move no cursor. */
export type PassingWireEvent = { id: null } & PassingFields

/** An event as it is written. */
export type WireEvent = InboxEvent | PassingWireEvent
