import type { Conversation, User } from '../protocol/types.ts'
import type { CreatedEvent, InboxEvent } from './inbox-event.ts'

/** A conversation as this page knows it: of a peer at least who it is. */
export type Known = Omit<Conversation, 'peer'> & { peer?: Pick<User, 'id'> }

/** What `conversation.created` begins. What came before is the past: nothing of it is unread. */
export function begin({ conversation, role, read_seq, peer_id, last_message }: CreatedEvent): Known {
  return {
    ...conversation,
    ...{ last_seq: read_seq, last_message: last_message ?? null },
    ...{ role, read_seq, unread_count: 0, mention_count: 0, muted: false, hidden: false },
    ...(peer_id !== undefined && { peer: { id: peer_id } }),
  }
}

/**
 * Applies the next event of a conversation that `me` is a member of. One that is already ahead of the event ends in the
 * right state all the same once it has had all events, but for `conversation.read`: see Conversations.
 */
export function applyTo(conversation: Known, event: InboxEvent, me: string): void {
  switch (event.type) {
    case 'message.created':
      conversation.hidden = false
      if (event.message.seq > conversation.last_seq) count(conversation, event.message, me)
      break
    case 'message.edited':
    case 'message.deleted':
      if (conversation.last_message?.seq === event.message.seq) conversation.last_message = event.message
      break
    case 'reaction.added':
    case 'reaction.removed':
      break
    case 'conversation.updated': {
      // Its messages come as events of their own, which count.
      const { last_seq: _, ...shared } = event.conversation
      Object.assign(conversation, shared)
      break
    }
    case 'conversation.read': {
      const { seq: read_seq, unread_count, mention_count } = event
      Object.assign(conversation, { read_seq, unread_count, mention_count })
      break
    }
    case 'member.added':
    case 'member.removed':
    case 'member.updated':
      memberChanged(conversation, event, me)
  }
}

function count(conversation: Known, message: NonNullable<Known['last_message']>, me: string): void {
  conversation.last_seq = message.seq
  conversation.last_message = message
  if (message.sender_id === me || message.seq <= conversation.read_seq) return
  conversation.unread_count += 1
  if (message.mentions.includes(me)) conversation.mention_count += 1
}

type MemberEvent = Extract<InboxEvent, { members_count: number }>

function memberChanged(conversation: Known, event: MemberEvent, me: string): void {
  conversation.members_count = event.members_count
  if (event.user_id !== me) return
  conversation.role = event.role
  if (event.type !== 'member.updated') return
  const { muted = conversation.muted, hidden = conversation.hidden } = event
  Object.assign(conversation, { muted, hidden })
}
