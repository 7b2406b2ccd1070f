import type { Message } from '../protocol/types.ts'
import type { InboxEvent } from './inbox-event.ts'

/**
 * The messages of one conversation as they are now. Answers and the stream overtake each other, and a message does not say
 * when it last changed; so an answer is believed only of messages of which no event came while it was under way. An event
 * that is older than what is shown is followed by those between: the last one is right.
 */
export class MessageStates {
  readonly #messages = new Map<number, Message>()
  /** For each request under way: of which messages an event came meanwhile. */
  readonly #underWay = new Set<Set<number>>()

  get(seq: number): Message | undefined {
    return this.#messages.get(seq)
  }

  /** Applies the next event of this conversation; only `message.created` makes an unknown message known. */
  apply(event: InboxEvent): void {
    if ('message' in event) {
      const { message } = event
      this.#touch(message.seq)
      if (event.type === 'message.created' || this.#messages.has(message.seq)) this.#set(message)
    } else if ('reactions' in event) {
      this.#touch(event.message_seq)
      const known = this.#messages.get(event.message_seq)
      if (known) this.#messages.set(known.seq, { ...known, reactions: event.reactions })
    }
  }

  /** What answered a send of mine: any event of it is as new. */
  sent(message: Message): void {
    if (!this.#messages.has(message.seq)) this.#set(message)
  }

  /** Takes what `request` answers, as far as it can be believed, and asks again for what cannot. Errors are passed on. */
  async ask<T>(request: () => Promise<T>, messagesOf: (answer: T) => Message[], again: Again): Promise<T> {
    const overtaken = new Set<number>()
    this.#underWay.add(overtaken)
    try {
      const answer = await request()
      const doubtful = messagesOf(answer).filter((message) => overtaken.has(message.seq))
      for (const message of messagesOf(answer)) {
        if (!overtaken.has(message.seq) || !this.#messages.has(message.seq)) this.#set(message)
      }
      for (const { seq } of doubtful) again(seq)
      return answer
    } finally {
      this.#underWay.delete(overtaken)
    }
  }

  #touch(seq: number): void {
    for (const overtaken of this.#underWay) overtaken.add(seq)
  }

  /** A text that was unfolded stays so while it is the same. */
  #set(message: Message): void {
    const known = this.#messages.get(message.seq)
    const isSame = known?.edited_at === message.edited_at && message.deleted_at === null
    const isCut = isSame && message.truncated && known?.truncated === false
    this.#messages.set(message.seq, isCut ? { ...message, text: known.text, truncated: false } : message)
  }
}

/** Asks for one message once more. */
type Again = (seq: number) => void
