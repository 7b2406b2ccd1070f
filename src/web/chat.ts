import type { User } from '../protocol/types.ts'
import { announcements } from './announcements.ts'
import { ApiError, SIGNED_OUT } from './api.ts'
import { chatViews } from './chat-views.ts'
import type { Known } from './conversation-events.ts'
import { Conversations } from './conversations.ts'
import { batched, find, setText } from './dom.ts'
import type { AnnouncementEvent, InboxEvent, PassingWireEvent } from './inbox-event.ts'
import { lease } from './lease.ts'
import { Members } from './members.ts'
import { messageSearch, showMessage } from './message-search.ts'
import { Outbox } from './outbox.ts'
import { People } from './people.ts'
import { Presences } from './presences.ts'
import { Receipts } from './receipts.ts'
import { guardAccount, restart, signOut, whoAmI } from './session.ts'
import { startConversation } from './start-conversation.ts'
import { Stream, type StreamState } from './stream.ts'
import { Thread } from './thread.ts'
import { Typists } from './typists.ts'

const STATES: Record<StreamState, string> = {
  connecting: 'connecting…',
  live: 'live',
  reconnecting: 'reconnecting…',
}

/** The signed-in page: what is known, what is on its way, and the stream that keeps both true. */
export class Chat {
  readonly #me: User
  readonly #people: People
  readonly #members: Members
  readonly #conversations: Conversations
  readonly #announcements = announcements()
  readonly #presences: Presences
  readonly #typists: Typists
  readonly #receipts: Receipts
  readonly #threads = new Map<string, Thread>()
  readonly #outbox: Outbox
  readonly #stream: Stream
  readonly #changed: () => void
  #verifying: Promise<boolean> | undefined

  constructor(me: User) {
    this.#me = me
    this.#changed = batched(() => render())
    this.#people = new People(me, this.#changed)
    this.#members = new Members(this.#changed)
    this.#conversations = new Conversations(me.id, {
      changed: this.#changed,
      met: (peer) => this.#people.learn([peer]),
    })
    this.#presences = new Presences(this.#changed)
    this.#typists = new Typists(this.#changed)
    this.#receipts = new Receipts(me.id, this.#changed)
    this.#outbox = new Outbox(me.id, {
      changed: this.#changed,
      // The list waits for the event, which counts; the thread need not.
      committed: (message) => this.#threads.get(message.conversation_id)?.sent(message),
    })
    this.#stream = new Stream({
      onEvent: (event) => this.#apply(event),
      onPassing: (event) => this.#overhear(event),
      onHeard: lease(),
      onReset: () => void this.#load(),
      onState: (state) => this.#showState(state),
      onRefused: () => void this.#verifyAccount(),
    })
    const render = chatViews({
      me,
      people: this.#people,
      members: this.#members,
      conversations: this.#conversations,
      outbox: this.#outbox,
      presences: this.#presences,
      typists: this.#typists,
      receipts: this.#receipts,
      opened: () => this.#opened(),
    })
  }

  async start(): Promise<void> {
    guardAccount(this.#me)
    this.#wire()
    this.#outbox.start()
    this.#showState('connecting')
    find('chat', HTMLElement).hidden = false
    await this.#load()
  }

  /** Everything anew, and from there on by the stream. */
  async #load(): Promise<void> {
    if (!(await this.#verifyAccount())) return
    const cursor = await this.#conversations.load()
    // History read from here on reaches at least up to the cursor, so that nothing falls between the two.
    this.#threads.clear()
    this.#members.outdateAll()
    this.#changed()
    this.#conversations.want(this.#openId)
    this.#stream.open(cursor)
    void this.#announcements.load()
  }

  /** A stream that is refused or begins anew may be somebody else's by now. */
  #verifyAccount(): Promise<boolean> {
    this.#verifying ??= whoAmI().then((user) => {
      this.#verifying = undefined
      if (user && user.id !== this.#me.id) restart('')
      return user?.id === this.#me.id
    })
    return this.#verifying
  }

  #apply(event: InboxEvent | AnnouncementEvent): void {
    if (event.type === 'announcement') {
      this.#announcements.show({ id: event.announcement_id, text: event.text })
      return
    }
    this.#conversations.apply(event)
    this.#threads.get(event.conversation_id)?.apply(event)
    if ('members_count' in event) this.#members.outdate(event.conversation_id)
    // What I may not see any more is not kept; back again, one sees what comes from then on.
    if (event.type === 'member.removed' && event.user_id === this.#me.id)
      this.#threads.delete(event.conversation_id)
    if (!('message' in event)) return
    const { sender_id, client_id } = event.message
    if (sender_id !== null) this.#typists.end(event.conversation_id, sender_id)
    if (sender_id === this.#me.id && client_id !== null) this.#outbox.drop(client_id)
  }

  /** What is in no log: nice to know, and never needed. */
  #overhear(event: PassingWireEvent): void {
    if (event.type === 'presence.changed') this.#presences.put(event)
    else if (event.type === 'receipt.read') this.#receipts.put(event)
    else this.#typists.put(event)
  }

  #showState(state: StreamState): void {
    const status = find('status', HTMLElement)
    status.dataset.state = state
    setText(status, STATES[state])
    if (state === 'live') this.#outbox.hurry()
    // What passed meanwhile was missed.
    if (state === 'live') this.#presences.refresh()
    if (state === 'live') this.#receipts.refresh()
  }

  /** The address says which conversation is open: `#<id>`. */
  get #openId(): string {
    return location.hash.slice(1)
  }

  /** What is on screen; begins to load its messages if they are new here. */
  #opened(): { conversation: Known; thread: Thread } | undefined {
    const conversation = this.#conversations.get(this.#openId)
    if (!conversation) return undefined
    return { conversation, thread: this.#thread(conversation.id) }
  }

  #thread(id: string): Thread {
    const known = this.#threads.get(id)
    if (known) return known
    const thread = new Thread(id, this.#changed)
    this.#threads.set(id, thread)
    void thread.load()
    this.#receipts.want(id)
    return thread
  }

  /** Opens a conversation at one of its messages. */
  async #goTo(id: string, seq: number): Promise<void> {
    this.#conversations.want(id)
    await this.#thread(id).goTo(seq)
    location.hash = id
    this.#changed()
    showMessage(seq, () => this.#openId === id)
  }

  #wire(): void {
    startConversation(this.#me, (conversation) => {
      this.#conversations.put(conversation)
      location.hash = conversation.id
    })
    messageSearch({
      titleOf: (id) => {
        const conversation = this.#conversations.get(id)
        return conversation ? this.#people.titleOf(conversation) : ''
      },
      onPick: (message) => void this.#goTo(message.conversation_id, message.seq),
    })
    find('sign-out', HTMLButtonElement).addEventListener('click', () => void this.#signOut())
    addEventListener('hashchange', () => {
      this.#changed()
      // On a phone this would open the keyboard over what is to be read.
      if (matchMedia('(hover: hover)').matches) {
        queueMicrotask(() => find('message-text', HTMLTextAreaElement).focus())
      }
    })
    document.addEventListener('visibilitychange', this.#changed)
    addEventListener('online', () => {
      this.#stream.hurry()
      this.#outbox.hurry()
    })
    addEventListener(SIGNED_OUT, () => restart('Your session has ended. Sign in again.'))
  }

  async #signOut(): Promise<void> {
    const unsent = this.#outbox.size
    if (unsent > 0 && !confirm(`Not sent yet: ${unsent}. Sign out and discard?`)) return
    try {
      await signOut(() => this.#outbox.clear())
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause
      setText(find('chat-error', HTMLElement), cause.message)
    }
  }
}
