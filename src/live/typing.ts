import { MAX_WATCHED_MEMBERS, TYPING_EVERY_MS, TYPING_SECONDS } from '../protocol/constants.ts'
import { encodePassing, type Passing } from '../protocol/passing.ts'
import { Seldom } from '../seldom.ts'
import type { Audience } from './audience.ts'

/** Tells the other members of a conversation that somebody types. */
export class Typing {
  readonly #audience: Audience
  readonly #pass: (passing: Passing) => void
  readonly #now: () => number
  readonly #seldom = new Seldom(TYPING_EVERY_MS)

  constructor(audience: Audience, pass: (passing: Passing) => void, now: () => number) {
    this.#audience = audience
    this.#pass = pass
    this.#now = now
  }

  /** False if `user_id` is no member. Rejects when that cannot be found out. */
  async type(conversation_id: string, user_id: string): Promise<boolean> {
    const recipients = await this.#audience.others(conversation_id, user_id)
    if (!recipients) return false
    if (recipients.length >= MAX_WATCHED_MEMBERS || !this.#seldom.admits(`${conversation_id} ${user_id}`))
      return true
    const at = new Date(this.#now()).toISOString()
    const event = encodePassing({ type: 'typing', at, conversation_id, user_id, expires_in: TYPING_SECONDS })
    this.#pass({ recipients, event })
    return true
  }
}
