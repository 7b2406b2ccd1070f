import { type Chat, connect, type Reset } from '../client/client.ts'
import type { User } from '../protocol/types.ts'
import { fetchAsMe, forgetAccount, guardAccount, restart } from './account.ts'
import { announcements } from './announcements.ts'
import { ApiError, REFUSED } from './api.ts'
import { chatViews } from './chat-views.ts'
import { connectionStatus } from './connection-status.ts'
import type { Known } from './conversation-events.ts'
import { Conversations } from './conversations.ts'
import { batched, find, setText } from './dom.ts'
import { forgetDrafts } from './drafts.ts'
import type { AnnouncementEvent, InboxEvent, PassingWireEvent } from './inbox-event.ts'
import { patience } from './insist.ts'
import { Members } from './members.ts'
import { messageSearch, showMessage } from './message-search.ts'
import { endNotifications, notifications } from './notifications.ts'
import { People } from './people.ts'
import { Presences } from './presences.ts'
import { Receipts } from './receipts.ts'
import { signOut, whoAmI } from './session.ts'
import { startConversation } from './start-conversation.ts'
import { Thread } from './thread.ts'
import { Typists } from './typists.ts'

/** The signed-in page: what is known, what is on its way, and the connection that keeps both true. */
export class ChatPage {
  readonly #me: User
  readonly #people: People
  readonly #members: Members
  readonly #conversations: Conversations
  readonly #announcements = announcements()
  readonly #presences: Presences
  readonly #typists: Typists
  readonly #receipts: Receipts
  readonly #threads = new Map<string, Thread>()
  readonly #changed: () => void
  readonly #showStatus = connectionStatus(() => this.#chat?.status)
  /** There once the list is, from whose cursor it reads on. */
  #chat: Chat | undefined
  #render: (() => void) | undefined
  #isSigningOut = false
  #verifying: Promise<User | undefined> | undefined

  constructor(me: User) {
    this.#me = me
    this.#changed = batched(() => this.#render?.())
    this.#people = new People(me, this.#changed)
    this.#members = new Members(this.#changed)
    this.#conversations = new Conversations(me.id, {
      changed: this.#changed,
      met: (peer) => this.#people.learn([peer]),
    })
    this.#presences = new Presences(this.#changed)
    this.#typists = new Typists(this.#changed)
    this.#receipts = new Receipts(me.id, this.#changed)
  }

  async start(): Promise<void> {
    guardAccount(this.#me)
    setText(find('me', HTMLElement), this.#me.display_name)
    find('chat', HTMLElement).hidden = false
    const cursor = await this.#load()
    const chat = this.#connect(cursor)
    this.#render = chatViews({
      me: this.#me,
      people: this.#people,
      members: this.#members,
      conversations: this.#conversations,
      chat,
      presences: this.#presences,
      typists: this.#typists,
      receipts: this.#receipts,
      opened: () => this.#opened(),
    })
    this.#wire(chat)
    this.#render()
  }

  /** Everything anew. Resolves with the cursor from which events are to follow. */
  async #load(): Promise<string> {
    const cursor = await this.#conversations.load()
    // History read from here on reaches at least up to the cursor, so that nothing falls between the two.
    this.#threads.clear()
    this.#members.outdateAll()
    this.#changed()
    this.#conversations.want(this.#openId)
    void this.#announcements.load()
    return cursor
  }

  #connect(after: string): Chat {
    const chat = connect({
      url: location.origin,
      cookie: true,
      user: this.#me.id,
      after,
      fetch: fetchAsMe,
    })
    this.#chat = chat
    chat.on('event', (event) => this.#apply(event as unknown as InboxEvent | AnnouncementEvent))
    chat.on('passing', (event) => this.#overhear(event as unknown as PassingWireEvent))
    chat.on('status', ({ state }) => this.#connected(state === 'live'))
    chat.on('outbox', this.#changed)
    chat.on('active', this.#changed)
    // The list waits for the event, which counts; the thread need not.
    chat.on('sent', (message) => this.#threads.get(message.conversation_id)?.sent(message))
    chat.on('reset', (reset) => this.#reset(reset))
    chat.on('refused', () => void this.#verifyAccount())
    return chat
  }

  /** Whoever has signed in meanwhile has another inbox. */
  async #reset({ cursor }: Reset): Promise<string> {
    return (await this.#verifyAccount()) ? this.#load() : cursor
  }

  /** Starts over if the session has ended, or is somebody else's by now. */
  async #verifyAccount(): Promise<boolean> {
    this.#verifying ??= whoAmI()
    const user = await this.#verifying
    this.#verifying = undefined
    const isMe = user?.id === this.#me.id
    if (isMe || this.#isSigningOut) return isMe
    if (!user) forgetAccount()
    restart(user ? '' : 'Your session has ended. Sign in again.')
    return false
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
    const { sender_id } = event.message
    if (sender_id !== null) this.#typists.end(event.conversation_id, sender_id)
  }

  /** What is in no log: nice to know, and never needed. */
  #overhear(event: PassingWireEvent): void {
    if (event.type === 'presence.changed') this.#presences.put(event)
    else if (event.type === 'receipt.read') this.#receipts.put(event)
    else this.#typists.put(event)
  }

  #connected(isLive: boolean): void {
    this.#showStatus()
    if (!isLive) return
    patience.hurry()
    // What passed meanwhile was missed.
    this.#presences.refresh()
    this.#receipts.refresh()
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

  #wire(chat: Chat): void {
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
    notifications(chat)
    find('sign-out', HTMLButtonElement).addEventListener('click', () => void this.#signOut(chat))
    addEventListener('hashchange', () => {
      this.#conversations.want(this.#openId)
      this.#changed()
      // On a phone this would open the keyboard over what is to be read.
      if (matchMedia('(hover: hover)').matches) {
        queueMicrotask(() => find('message-text', HTMLTextAreaElement).focus())
      }
    })
    document.addEventListener('visibilitychange', this.#changed)
    addEventListener('online', () => patience.hurry())
    addEventListener(REFUSED, () => void this.#verifyAccount())
  }

  async #signOut(chat: Chat): Promise<void> {
    const { outbox } = chat
    const unsent = outbox.items.length
    if (unsent > 0 && !confirm(`Not sent yet: ${unsent}. Sign out and discard?`)) return
    this.#isSigningOut = true
    try {
      await signOut(async () => {
        await endNotifications()
        forgetDrafts(this.#me.id)
        await Promise.all(outbox.items.map(({ key }) => outbox.discard(key)))
      })
    } catch (cause) {
      this.#isSigningOut = false
      if (!(cause instanceof ApiError)) throw cause
      setText(find('chat-error', HTMLElement), cause.message)
    }
  }
}
