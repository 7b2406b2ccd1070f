import type { Message } from '../protocol/types.ts'
import { ApiError, get } from './api.ts'
import { insist } from './backoff.ts'

type Page = { messages: Message[]; has_more: boolean }

/**
 * The messages of one conversation without a gap, from some `seq` up to the latest or, where somebody looks at an old one,
 * around that: history, joined with what arrives live.
 */
export class Thread {
  readonly #path: string
  readonly #changed: () => void
  readonly #messages = new Map<number, Message>()
  state: 'loading' | 'ready' | 'failed' = 'loading'
  /** What hinders it, in words for a person. */
  trouble = ''
  hasOlder = false
  /** Whether there are messages behind the last one here, which what arrives live would not join. */
  hasNewer = false

  constructor(conversation: string, changed: () => void) {
    this.#path = `/v1/conversations/${conversation}/messages`
    this.#changed = changed
  }

  /** Ascending by `seq`. */
  list(): Message[] {
    return [...this.#messages.values()].sort((a, b) => a.seq - b.seq)
  }

  get #first(): number {
    return Math.min(...this.#messages.keys())
  }

  get #last(): number {
    return Math.max(...this.#messages.keys())
  }

  /** Takes a message as it is now. One before the oldest shown would leave a gap, and is loaded with its page. */
  put(message: Message): void {
    if (this.state === 'ready' && this.hasOlder && message.seq < this.#first) return
    if (this.hasNewer && message.seq > this.#last) return
    this.#keep(message)
    this.#changed()
  }

  async load(): Promise<void> {
    this.state = 'loading'
    try {
      const page = await insist(
        () => get<Page>(this.#path),
        (error) => this.#show(error.message),
      )
      const first = page.messages[0]?.seq ?? 0
      for (const seq of this.#messages.keys()) if (seq < first || this.hasNewer) this.#messages.delete(seq)
      this.hasNewer = false
      this.#take(page)
      this.state = 'ready'
      this.#show('')
    } catch (error) {
      this.state = 'failed'
      this.#show(wordsFor(error))
    }
  }

  /** Shows a message and its neighbours, whatever was shown before. */
  async goTo(seq: number): Promise<void> {
    if (this.#messages.has(seq)) return
    try {
      const page = await get<Page>(`${this.#path}?around_seq=${seq}`)
      const latest = this.#last
      this.#messages.clear()
      this.#take(page)
      // Where nothing was here yet, only asking for more tells.
      this.hasNewer = page.has_more && (latest < 0 || this.#last < latest)
      this.state = 'ready'
      this.#show('')
    } catch (error) {
      this.#show(wordsFor(error))
    }
  }

  async loadNewer(): Promise<void> {
    try {
      const { hasOlder } = this
      const page = await get<Page>(`${this.#path}?after_seq=${this.#last}`)
      this.#take(page)
      this.hasOlder = hasOlder
      this.hasNewer = page.has_more
      this.#show('')
    } catch (error) {
      this.#show(wordsFor(error))
    }
  }

  async loadOlder(): Promise<void> {
    try {
      this.#take(await get<Page>(`${this.#path}?before_seq=${this.#first}`))
      this.#show('')
    } catch (error) {
      this.#show(wordsFor(error))
    }
  }

  /** Replaces a cut text by the whole of it. */
  async unfold(seq: number): Promise<void> {
    try {
      this.put(await get<Message>(`${this.#path}/${seq}`))
      this.#show('')
    } catch (error) {
      this.#show(wordsFor(error))
    }
  }

  #take({ messages, has_more }: Page): void {
    this.hasOlder = has_more
    for (const message of messages) this.#keep(message)
  }

  /** Page and stream may overtake each other: the later state wins, and of two equal ones the whole text. */
  #keep(message: Message): void {
    const shown = this.#messages.get(message.seq)
    const isOlder = shown && changedAt(shown) > changedAt(message)
    const isShorter = shown && changedAt(shown) === changedAt(message) && !shown.truncated
    if (!isOlder && !isShorter) this.#messages.set(message.seq, message)
  }

  #show(trouble: string): void {
    this.trouble = trouble
    this.#changed()
  }
}

function changedAt({ deleted_at, edited_at }: Message): string {
  return deleted_at ?? edited_at ?? ''
}

function wordsFor(error: unknown): string {
  if (error instanceof ApiError) return error.message
  throw error
}
