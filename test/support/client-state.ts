import type { Conversation, Message } from '../../src/protocol/types.ts'
import type { Event } from './person.ts'

/** What a client knows of its conversations, from events alone. */
export class ClientState {
  readonly conversations = new Map<string, Partial<Conversation>>()
  readonly #me: string
  constructor(me: string) {
    this.#me = me
  }

  /** Applies the next event of the inbox, as PROTOCOL.md says what it carries. */
  apply(event: Event): void {
    const id = event.conversation_id
    if (id === undefined || event.type === 'redacted') return
    if (event.type === 'conversation.created') this.#begin(id, event)
    const known = this.conversations.get(id)
    // What comes of a conversation that was left since is the past.
    if (!known) return
    if (event.type === 'conversation.updated') {
      const { last_seq: _, ...shared } = event.conversation as Conversation
      Object.assign(known, shared)
    } else if (event.type === 'conversation.read') {
      known.read_seq = Number(event.seq)
      known.unread_count = Number(event.unread_count)
      known.mention_count = Number(event.mention_count)
    } else if (event.type.startsWith('member.')) this.#member(id, known, event)
    else if (event.type.startsWith('message.')) this.#message(known, event.type, event.message as Message)
    else if (event.type.startsWith('reaction.') && known.last_message?.seq === event.message_seq)
      Object.assign(known.last_message as Message, { reactions: event.reactions })
  }

  #begin(id: string, event: Event): void {
    const {
      conversation,
      role,
      read_seq,
      peer_id,
      last_message = null,
    } = event as unknown as {
      conversation: Conversation
      role: Conversation['role']
      read_seq: number
      peer_id?: string
      last_message?: Message | null
    }
    const own = { unread_count: 0, mention_count: 0, muted: false, hidden: false }
    const counts = { last_seq: read_seq, read_seq, last_message, ...own }
    const peer = peer_id === undefined ? {} : { peer: { id: peer_id } as Conversation['peer'] }
    this.conversations.set(id, { ...conversation, ...counts, role, ...peer } as Conversation)
  }

  #member(id: string, known: Partial<Conversation>, event: Event): void {
    known.members_count = Number(event.members_count)
    if (event.user_id !== this.#me) return
    if (event.type === 'member.removed') this.conversations.delete(id)
    const { role, muted = known.muted, hidden = known.hidden } = event as unknown as Conversation
    Object.assign(known, { role, muted, hidden })
  }

  #message(known: Partial<Conversation>, type: string, message: Message): void {
    if (type !== 'message.created') {
      if (known.last_message?.seq === message.seq) known.last_message = message
      return
    }
    const isUnread = message.seq > (known.read_seq ?? 0) && message.sender_id !== this.#me
    known.unread_count = (known.unread_count ?? 0) + Number(isUnread)
    known.mention_count = (known.mention_count ?? 0) + Number(isUnread && message.mentions.includes(this.#me))
    Object.assign(known, { last_seq: message.seq, last_message: message, hidden: false })
  }
}
