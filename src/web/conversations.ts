import type { Conversation, User } from '../protocol/types.ts'
import { get } from './api.ts'
import { applyTo, begin, type Known } from './conversation-events.ts'
import type { InboxEvent } from './inbox-event.ts'
import { insist } from './insist.ts'

type Page = { conversations: Conversation[]; next: string | null; cursor: string }
type Entry = {
  conversation: Known
  activity: string
  /** Whether it is as the events so far have made it; what was asked for on its own is ahead of them. */
  isExact: boolean
}
type Handlers = {
  changed(): void
  /** Somebody whose profile came with a conversation. */
  met(peer: User): void
}

/** My conversations: a snapshot, kept true by the events behind its cursor. */
export class Conversations {
  readonly #me: string
  readonly #handlers: Handlers
  readonly #entries = new Map<string, Entry>()
  /** Fetches under way; `true` if another event came meanwhile, so that the answer may be too old. */
  readonly #fetching = new Map<string, boolean>()
  #next: string | null = null

  constructor(me: string, handlers: Handlers) {
    this.#me = me
    this.#handlers = handlers
  }

  get hasMore(): boolean {
    return this.#next !== null
  }

  get(id: string): Known | undefined {
    return this.#entries.get(id)?.conversation
  }

  /** Latest activity first, the hidden ones too. */
  list(): Known[] {
    const entries = [...this.#entries.values()]
    entries.sort((a, b) => (a.activity < b.activity ? 1 : a.activity > b.activity ? -1 : 0))
    return entries.map((entry) => entry.conversation)
  }

  /** Replaces everything. Returns the cursor from which to read on. */
  async load(): Promise<string> {
    const page = await insist(() => get<Page>('/v1/conversations?limit=100'))
    this.#entries.clear()
    for (const id of this.#fetching.keys()) this.#fetching.set(id, true)
    this.#next = page.next
    this.#take(page, true)
    return page.cursor
  }

  async loadMore(): Promise<void> {
    if (this.#next === null) return
    const path = `/v1/conversations?limit=100&after=${encodeURIComponent(this.#next)}`
    const page = await insist(() => get<Page>(path))
    this.#next = page.next
    this.#take(page, false)
  }

  /** The hidden ones, as many as one page holds. */
  async loadHidden(): Promise<void> {
    this.#take(await insist(() => get<Page>('/v1/conversations?limit=100&hidden=true')), false)
  }

  #take({ conversations }: Page, isExact: boolean): void {
    for (const conversation of conversations) this.put(conversation, isExact)
    this.#handlers.changed()
  }

  /** Fetches one that is not on the pages loaded so far. */
  want(id: string): void {
    if (/^[0-9a-f-]{36}$/.test(id) && !this.get(id)) void this.#fetch(id, '')
  }

  /** Takes one that an answer brought. One that is here already is as new, or newer by an event. */
  put(conversation: Conversation, isExact = false): void {
    if (!this.get(conversation.id)) this.#set(conversation, conversation.created_at, isExact)
  }

  #set(conversation: Conversation, at: string, isExact: boolean): void {
    if (conversation.peer) this.#handlers.met(conversation.peer)
    const latest = conversation.last_message?.created_at ?? ''
    this.#entries.set(conversation.id, { conversation, activity: latest > at ? latest : at, isExact })
    this.#handlers.changed()
  }

  apply(event: InboxEvent): void {
    const { conversation_id: id, at } = event
    if (this.#fetching.has(id)) this.#fetching.set(id, true)
    if (event.type === 'conversation.created') {
      this.#entries.set(id, { conversation: begin(event), activity: at, isExact: true })
    } else if (event.type === 'member.removed' && event.user_id === this.#me) this.#entries.delete(id)
    else this.#update(this.#entries.get(id), event)
    this.#handlers.changed()
  }

  #update(entry: Entry | undefined, event: InboxEvent): void {
    const { conversation_id: id, at, type } = event
    if (!entry) {
      const isBack = type === 'member.updated' && event.hidden === false
      if (type === 'message.created' || isBack) void this.#fetch(id, at)
      return
    }
    if (type === 'message.created') entry.activity = at
    // Counts of a time before what is known: messages between the two would not be counted again.
    if (type === 'conversation.read' && !entry.isExact) void this.#fetch(id, entry.activity)
    else applyTo(entry.conversation, event, this.#me)
  }

  async #fetch(id: string, at: string): Promise<void> {
    if (this.#fetching.has(id)) return
    try {
      do {
        this.#fetching.set(id, false)
        const conversation = await insist(() => get<Conversation>(`/v1/conversations/${id}`))
        this.#set(conversation, this.#entries.get(id)?.activity ?? at, false)
      } while (this.#fetching.get(id))
    } catch {
      // Gone again before it could be read.
      this.#entries.delete(id)
      this.#handlers.changed()
    } finally {
      this.#fetching.delete(id)
    }
  }
}
