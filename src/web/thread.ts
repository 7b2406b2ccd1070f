import type { Message } from '../protocol/types.ts'
import { ApiError, get, patch } from './api.ts'
import type { InboxEvent } from './inbox-event.ts'
import { insist } from './insist.ts'
import { MessageStates } from './message-states.ts'

type Page = { messages: Message[]; has_more: boolean }

/** The messages of one conversation: the latest, what was read of the history before, and islands in it that were jumped to. */
export class Thread {
  readonly #path: string
  readonly #changed: () => void
  readonly #states = new MessageStates()
  readonly #shown = new Set<number>()
  /** Messages before which there may be some that are not loaded. */
  readonly #breaks = new Set<number>()
  /** Messages that others quote, asked for on their own. */
  readonly #quoted = new Set<number>()
  state: 'loading' | 'ready' | 'failed' = 'loading'
  /** What hinders it, in words for a person. */
  trouble = ''

  constructor(conversation: string, changed: () => void) {
    this.#path = `/v1/conversations/${conversation}/messages`
    this.#changed = changed
  }

  /** Ascending by `seq`. */
  list(): Message[] {
    const seqs = [...this.#shown].sort((a, b) => a - b)
    return seqs.flatMap((seq) => this.#states.get(seq) ?? [])
  }

  get hasOlder(): boolean {
    return this.#breaks.has(Math.min(...this.#shown))
  }

  /** Whether messages are missing between this one and the one shown above it. */
  isAfterGap(seq: number): boolean {
    return this.#breaks.has(seq) && !this.#shown.has(seq - 1)
  }

  get(seq: number): Message | undefined {
    return this.#states.get(seq)
  }

  /** The last message for which this holds. */
  findLast(holds: (message: Message) => boolean): Message | undefined {
    return this.list().findLast(holds)
  }

  /** A message that one shown here replies to; nothing if there is none to be seen, or not yet. */
  quoted(seq: number): Message | undefined {
    const known = this.#states.get(seq)
    if (!known && !this.#quoted.has(seq)) {
      this.#quoted.add(seq)
      this.#again(seq)
    }
    return known
  }

  apply(event: InboxEvent): void {
    this.#states.apply(event)
    if (event.type === 'message.created') this.#shown.add(event.message.seq)
    this.#changed()
  }

  /** A message of mine that was committed; its event may come later. */
  sent(message: Message): void {
    this.#states.sent(message)
    this.#shown.add(message.seq)
    this.#changed()
  }

  async load(): Promise<void> {
    this.state = 'loading'
    await this.#attempt(async () => {
      const page = await this.#ask('', (error) => this.#show(error.message))
      this.#markBreak(page.has_more, page.messages[0])
    })
    this.state = this.trouble === '' ? 'ready' : 'failed'
    this.#changed()
  }

  loadOlder(): Promise<void> {
    return this.#attempt(async () => {
      const first = Math.min(...this.#shown)
      const page = await this.#ask(`?before_seq=${first}`)
      this.#breaks.delete(first)
      this.#markBreak(page.has_more, page.messages[0])
    })
  }

  /** Reads on below an island, towards this message. */
  fillGap(seq: number): Promise<void> {
    return this.#attempt(async () => {
      const last = Math.max(0, ...[...this.#shown].filter((each) => each < seq))
      const page = await this.#ask(`?after_seq=${last}`)
      if (!page.has_more) this.#breaks.delete(seq)
    })
  }

  /** Sees to it that this message is among those shown, if it can be. */
  async goTo(seq: number): Promise<void> {
    if (this.#shown.has(seq)) return
    await this.#attempt(async () => {
      const { messages } = await this.#ask(`?around_seq=${seq}`)
      const last = messages.at(-1)?.seq ?? seq
      const next = Math.min(...[...this.#shown].filter((each) => each > last))
      if (Number.isFinite(next)) this.#breaks.add(next)
      this.#markBreak(messages[0] !== undefined && messages[0].seq > 1, messages[0])
    })
  }

  /** Replaces a cut text by the whole of it. */
  unfold(seq: number): Promise<void> {
    return this.#attempt(() => this.#refresh(seq))
  }

  /** The text in full, to edit it. Throws ApiError. */
  async wholeText(seq: number): Promise<string> {
    if (this.#states.get(seq)?.truncated) await this.#refresh(seq)
    return this.#states.get(seq)?.text ?? ''
  }

  /** Throws ApiError. */
  async edit(seq: number, text: string): Promise<void> {
    const request = () => patch<Message>(`${this.#path}/${seq}`, { text })
    // Overtaken by an event, its answer is not needed: the event tells of this edit or a later one.
    await this.#states.ask(
      request,
      (message) => [message],
      () => {},
    )
    this.#changed()
  }

  async #refresh(seq: number): Promise<void> {
    const request = () => get<Message>(`${this.#path}/${seq}`)
    await this.#states.ask(request, (message) => [message], this.#again)
    this.#changed()
  }

  async #ask(query: string, onTrouble?: (error: ApiError) => void): Promise<Page> {
    const request = () => get<Page>(this.#path + query)
    const asked = onTrouble ? () => insist(request, onTrouble) : request
    const page = await this.#states.ask(asked, ({ messages }) => messages, this.#again)
    for (const message of page.messages) this.#shown.add(message.seq)
    return page
  }

  /** In the background: what is refused, as what I may not see is, stays unknown. */
  readonly #again = (seq: number) => {
    insist(() => this.#refresh(seq)).catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error
    })
  }

  #markBreak(isDue: boolean, first: Message | undefined): void {
    if (isDue && first && !this.#shown.has(first.seq - 1)) this.#breaks.add(first.seq)
  }

  async #attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act()
      this.#show('')
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.#show(error.message)
    }
  }

  #show(trouble: string): void {
    this.trouble = trouble
    this.#changed()
  }
}
