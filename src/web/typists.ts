import { TYPING_EVERY_MS } from '../protocol/constants.ts'
import type { PassingFields } from '../protocol/passing.ts'
import { post } from './api.ts'

type TypingEvent = Extract<PassingFields, { type: 'typing' }>

/** Who types in which conversation just now. */
export class Typists {
  readonly #changed: () => void
  /** Per conversation each one's timer, in the order in which they began. */
  readonly #typing = new Map<string, Map<string, ReturnType<typeof setTimeout>>>()

  constructor(changed: () => void) {
    this.#changed = changed
  }

  of(conversation: string): string[] {
    return [...(this.#typing.get(conversation)?.keys() ?? [])]
  }

  put({ conversation_id, user_id, expires_in }: TypingEvent): void {
    const here = this.#typing.get(conversation_id) ?? new Map()
    this.#typing.set(conversation_id, here)
    clearTimeout(here.get(user_id))
    const timer = setTimeout(() => this.end(conversation_id, user_id), expires_in * 1_000)
    here.set(user_id, timer)
    this.#changed()
  }

  end(conversation: string, user: string): void {
    const here = this.#typing.get(conversation)
    clearTimeout(here?.get(user))
    if (here?.delete(user)) this.#changed()
  }
}

/** Says, as often as it is worth it, that somebody types here in the open conversation. */
export function typingNotice(openId: () => string | undefined): () => void {
  let last = { conversation: '', at: Number.NEGATIVE_INFINITY }
  return () => {
    const conversation = openId()
    const now = performance.now()
    if (conversation === undefined) return
    if (conversation === last.conversation && now - last.at < TYPING_EVERY_MS) return
    last = { conversation, at: now }
    post(`/v1/conversations/${conversation}/typing`, {}).catch(() => {})
  }
}
