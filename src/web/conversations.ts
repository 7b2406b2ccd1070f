import type { Conversation } from '../protocol/types.ts'
import { get } from './api.ts'
import { insist } from './backoff.ts'
import type { InboxEvent } from './inbox-event.ts'

type Page = { conversations: Conversation[]; next: string | null; cursor: string }
type Entry = { conversation: Conversation; activity: string }

/** My conversations: a snapshot, kept true by the events behind its cursor. */
export class Conversations {
  readonly #me: string
  readonly #changed: () => void
  readonly #entries = new Map<string, Entry>()
  /** Fetches under way; `true` if another event came meanwhile, so that the answer may be too old. */
  readonly #fetching = new Map<string, boolean>()
  #next: string | null = null

  constructor(me: string, changed: () => void) {
    this.#me = me
    this.#changed = changed
  }

  get hasMore(): boolean {
    return this.#next !== null
  }

  get(id: string): Conversation | undefined {
    return this.#entries.get(id)?.conversation
  }

  /** Latest activity first. */
  list(): Conversation[] {
    const entries = [...this.#entries.values()]
    entries.sort((a, b) => (a.activity < b.activity ? 1 : a.activity > b.activity ? -1 : 0))
    return entries.map((entry) => entry.conversation)
  }

  /** Replaces everything. Returns the cursor from which to read on. */
  async load(): Promise<string> {
    const page = await insist(() => get<Page>('/v1/conversations?limit=100'))
    this.#entries.clear()
    for (const id of this.#fetching.keys()) this.#fetching.set(id, true)
    this.#take(page)
    return page.cursor
  }

  async loadMore(): Promise<void> {
    if (this.#next === null) return
    const path = `/v1/conversations?limit=100&after=${encodeURIComponent(this.#next)}`
    this.#take(await insist(() => get<Page>(path)))
  }

  #take({ conversations, next }: Page): void {
    this.#next = next
    // One that is here already is as new, or newer by an event.
    for (const conversation of conversations) if (!this.get(conversation.id)) this.put(conversation)
    this.#changed()
  }

  /** Fetches one that is not on the pages loaded so far. */
  want(id: string): void {
    if (/^[0-9a-f-]{36}$/.test(id) && !this.get(id)) void this.#fetch(id, '')
  }

  put(conversation: Conversation, at = conversation.created_at): void {
    const latest = conversation.last_message?.created_at ?? ''
    // biome-ignore lint/complexity/useMathMinMax: times as text, which Math.max cannot compare
    this.#entries.set(conversation.id, { conversation, activity: latest > at ? latest : at })
    this.#changed()
  }

  apply(event: InboxEvent): void {
    const { type, conversation_id: id, at } = event
    if (this.#fetching.has(id)) this.#fetching.set(id, true)
    if (type === 'member.removed' && event.user_id === this.#me) this.#entries.delete(id)
    const entry = this.#entries.get(id)
    if (type === 'conversation.created' || (type === 'message.created' && !entry)) void this.#fetch(id, at)
    else if (entry) this.#update(entry, event)
    this.#changed()
  }

  /** What was fetched on its own may be ahead of the stream: numbers, not the order of arrival, say what is news. */
  #update(entry: Entry, event: InboxEvent): void {
    const { conversation } = entry
    if (event.type === 'message.created') {
      const { message } = event
      if (message.seq <= conversation.last_seq) return
      conversation.last_seq = message.seq
      conversation.last_message = message
      if (message.sender_id !== this.#me) conversation.unread_count += 1
      entry.activity = event.at
    } else if (event.type === 'message.edited' || event.type === 'message.deleted') {
      if (conversation.last_message?.seq === event.message.seq) conversation.last_message = event.message
    } else if (event.type === 'conversation.updated') {
      const { title, data, history } = event.conversation
      Object.assign(conversation, { title, data, history })
    } else if (event.type === 'conversation.read') {
      const { seq: read_seq, unread_count, mention_count } = event
      if (read_seq > conversation.read_seq)
        Object.assign(conversation, { read_seq, unread_count, mention_count })
    } else if ('members_count' in event) {
      conversation.members_count = event.members_count
    }
  }

  async #fetch(id: string, at: string): Promise<void> {
    if (this.#fetching.has(id)) return
    try {
      do {
        this.#fetching.set(id, false)
        this.put(await insist(() => get<Conversation>(`/v1/conversations/${id}`)), at)
      } while (this.#fetching.get(id))
    } catch {
      // Gone again before it could be read.
      this.#entries.delete(id)
      this.#changed()
    } finally {
      this.#fetching.delete(id)
    }
  }
}
