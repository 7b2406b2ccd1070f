import { parseCursor } from '../protocol/cursor.ts'
import type { Message } from '../protocol/types.ts'
import type { Attention } from './attention.ts'
import { Connection, type InboxEvent, type PassingEvent, type Reset } from './connection.ts'
import type { GetToken } from './credentials.ts'
import { isCrowded as isCrowdedHere } from './crowd.ts'
import { whoIsCalling } from './identity.ts'
import type { Status as LadderStatus } from './ladder/draft.ts'
import { Lag } from './lag.ts'
import { Lease } from './lease.ts'
import { Listeners } from './listeners.ts'
import { meansOf } from './means.ts'
import { Outbox, type OutboxItem, type SendOptions } from './outbox.ts'
import { pause } from './pause.ts'
import type { Push, PushOptions, PushState } from './push.ts'
import { Reading } from './reading.ts'
import { recallRung, rememberRung } from './remembered-rung.ts'
import type { Fetch, Requests } from './requests.ts'
import { requestsTo } from './requests-to.ts'
import { type ClientStorage, storageOf } from './storage.ts'
import { surroundings } from './surroundings.ts'
import { canElect, Tabs } from './tabs.ts'
import type { EventSourceClass } from './transports.ts'

export type ConnectOptions = {
  /** The gateway's address, such as `https://chat.example.org`. */
  url: string
  /** Gives an access token; with `refresh` one other than the last. Without it the caller is known by its cookie. */
  getToken?: GetToken
  cookie?: true
  /** The caller's id, where it is known: else it is read from the token or asked for. */
  user?: string
  /** Reads on behind this cursor; '0' from the oldest event kept. Without it, from where this device was. */
  after?: string
  /** Keeps the outbox and the rung that worked: IndexedDB in browsers, else memory, unless something else is given. */
  storage?: ClientStorage
  fetch?: Fetch
  /** The class to use for native event streams; `null` for none. */
  EventSource?: EventSourceClass | null
}

export type Status = LadderStatus & { lagMs: number }

export type ChatEvents = {
  event: InboxEvent
  passing: PassingEvent
  status: Status
  reset: Reset
  outbox: OutboxItem[]
  /** One from the outbox was committed, be it of a page before this one. Its event comes too. */
  sent: Message
  /** The cookie was answered with 401: its session has ended, unless something on the way took the cookie off. */
  refused: undefined
  /** Somebody uses the page again that was idle (see `isActive`): what is open is to be marked as read. */
  active: undefined
}

const STORAGE_MS = 300
const FOLLOW_MS = 100

/** A client of one inbox: `connect()` makes one. */
export class Chat {
  readonly #reading: Reading
  readonly #outbox: Outbox
  readonly #storage: ClientStorage
  readonly #lag = new Lag()
  readonly #listeners = new Listeners<ChatEvents>()
  readonly #surroundings = surroundings()
  readonly #closing = new AbortController()
  /** For requests of the product's own: with the same credentials, the same time-outs, and no answer but the server's. */
  readonly requests: Requests
  readonly #user: Promise<string>
  readonly #lease: Lease
  readonly #options: ConnectOptions
  #connection: Connection | undefined
  #tabs: Tabs | undefined
  #push: Push | undefined
  #attention: Attention | undefined
  #status: Status = { state: 'connecting', transport: 'long-poll', reason: '', lagMs: 0 }
  /** How it stands with this tab's own connection, while it leads. */
  #own: LadderStatus = this.#status

  constructor(options: ConnectOptions) {
    this.#options = options
    this.requests = requestsTo(options, () => this.#listeners.emit('refused', undefined))
    this.#reading = new Reading(options.after)
    this.#storage = storageOf(options.storage)
    this.#user = whoIsCalling(this.requests, this.#closing.signal, options.user, (reason) => {
      // What else is there to say of tabs that cannot find each other yet?
      if (canElect()) this.#report({ ...this.#own, state: 'offline', reason })
    })
    this.#user.catch(() => {})
    this.#outbox = new Outbox(
      this.requests,
      this.#storage,
      this.#user.then((user) => `${this.requests.base} ${user} outbox `),
      (message) => {
        // Its event must come; if the stream does not bring it, the stream is asked why.
        if (message) {
          this.#connection?.give({ type: 'expect' })
          this.#listeners.emit('sent', message)
        }
        this.#listeners.emit('outbox', this.#outbox.items)
      },
    )
    this.#lease = new Lease(this.requests, () => ({
      cursor: this.#reading.isPlaced ? this.#reading.cursor : undefined,
      active: this.isActive,
      isLive: this.#status.state === 'live' && this.#tabs?.isLeading !== false,
    }))
    void this.#start()
  }

  /** Calls back on each of these; returns what ends that. */
  on<K extends keyof ChatEvents>(name: K, listener: (value: ChatEvents[K]) => unknown): () => void {
    return this.#listeners.on(name, listener)
  }

  /**
   * Resolves with the message once it is committed, however long the network takes. Rejects with SendError if the server
   * will not have it.
   */
  send(conversationId: string, text: string, options: SendOptions = {}): Promise<Message> {
    return this.#outbox.send(conversationId, text, options)
  }

  /** Messages that are not committed yet, with `retry` and `discard` for those that failed. */
  get outbox(): Pick<Outbox, 'items' | 'retry' | 'discard'> {
    return this.#outbox
  }

  /** Up to where every event was handed out: all that a client must remember. */
  get cursor(): string | undefined {
    return this.#reading.cursor
  }

  get status(): Status {
    return { ...this.#status, lagMs: this.#lag.ms }
  }

  /**
   * Whether a person is looking: the page is visible, and in the last three minutes it or another tab was used, by pointer, key,
   * wheel or touch. Mark nothing as read while nobody is. Outside of pages somebody always is.
   */
  get isActive(): boolean {
    return this.#surroundings.isVisible() && this.#attention?.isThere !== false
  }

  /**
   * Wakes this device by Web Push while no page is open. Call it in a person's gesture, as the browser asks for
   * permission, and again at each start while `pushState()` is `on`, when it asks nothing. Rejects with PushError.
   */
  async enablePush(options?: PushOptions): Promise<void> {
    // Before anything is awaited: else the gesture is over.
    const permission = globalThis.Notification?.requestPermission()
    return (await this.#loadPush()).enable(options, permission)
  }

  /** Ends push on this device and withdraws what is shown. */
  async disablePush(options?: PushOptions): Promise<void> {
    return (await this.#loadPush()).disable(options)
  }

  /** Whether push is on here; asks nobody. */
  pushState(options?: PushOptions): Promise<PushState> {
    return this.#loadPush().then(
      (push) => push.state(options),
      () => 'off',
    )
  }

  /** Ends everything. What is in the outbox stays there for the next time. */
  close(): void {
    this.#closing.abort()
    this.#tabs?.close()
    this.#connection?.close()
    this.#lease.close()
    this.#outbox.close()
  }

  /** A module of its own: whoever has no push never loads it. */
  async #loadPush(): Promise<Push> {
    const { Push } = await import('./push.ts')
    this.#push ??= new Push(this, this.#closing.signal)
    return this.#push
  }

  /** By a module of its own, which need not be there at once. */
  async #attend(signal: AbortSignal): Promise<void> {
    const { Attention } = await import('./attention.ts')
    this.#attention = new Attention(this.requests.base, signal, () => {
      this.#lease.renew()
      this.#listeners.emit('active', undefined)
    })
  }

  async #start(): Promise<void> {
    // A store that hangs must not hold the connection.
    const { signal } = this.#closing
    const { base } = this.requests
    const remembered = await Promise.race([recallRung(this.#storage, base), pause(STORAGE_MS, signal)])
    const isCrowded = !canElect() && (await isCrowdedHere(`longwave ${base}`, signal))
    if (signal.aborted) return
    const { rungs, ...means } = meansOf(this.#options.EventSource, isCrowded)
    const transports = { requests: this.requests, ...means }
    const isVisible = this.#surroundings.isVisible()
    const connection = new Connection(
      transports,
      this.#reading,
      this.#lag,
      { rungs, remembered, isVisible },
      {
        event: (event) => {
          this.#tabs?.tell({ type: 'event', event, cursor: this.#reading.cursor ?? '' })
          this.#listeners.emit('event', event)
          if (event.type === 'message.created') this.#outbox.committed(event.message as Message)
        },
        passing: (event) => {
          this.#tabs?.tell({ type: 'passing', event })
          this.#listeners.emit('passing', event)
        },
        status: (status) => {
          this.#own = status
          this.#report(status)
        },
        remember: (rung) => rememberRung(this.#storage, base, rung),
        reset: (reset) => this.#reset(reset),
      },
    )
    this.#connection = connection
    const online = () => {
      connection.give({ type: 'online' })
      this.#outbox.hurry()
    }
    const visible = (visible: boolean) => {
      connection.give({ type: 'visible', visible })
      this.#lease.renew()
      if (visible && this.#tabs) void connection.catchUp()
    }
    this.#surroundings.watch({ visible, online }, signal)
    if (globalThis.document) this.#attend(signal).catch(() => {})
    if (canElect()) await this.#join(connection)
    else connection.start()
  }

  /** Reads through the tab that leads, or leads. */
  async #join(connection: Connection): Promise<void> {
    const user = await this.#user.catch(() => undefined)
    if (user === undefined || this.#closing.signal.aborted) return
    this.#tabs = new Tabs(`longwave ${this.requests.base} ${user}`, {
      lead: () => {
        connection.start()
        // What another tab told is over, and nobody else renews the lease.
        this.#report(this.#own)
        this.#lease.renew()
      },
      follow: () => connection.halt(),
      state: () => ({
        isSeen: this.#surroundings.isVisible(),
        cursor: this.#reading.cursor,
        status: this.status,
      }),
      told: (told) => {
        if (told.type === 'passing') this.#listeners.emit('passing', told.event)
        else if (told.type === 'event') connection.take(told.event, told.cursor)
        else if (told.type === 'beat') {
          connection.follow(told.cursor)
          const { state, transport } = this.#status
          this.#lag.told(told.status.lagMs)
          if (told.status.state !== state || told.status.transport !== transport) this.#report(told.status)
        }
      },
    })
    // Whoever leads at once does not need it.
    await pause(FOLLOW_MS, this.#closing.signal)
    void connection.catchUp()
  }

  #report(status: LadderStatus): void {
    const wasLive = this.#status.state === 'live'
    this.#status = { ...status, lagMs: this.#lag.ms }
    if (status.state === 'live' && !wasLive) {
      this.#outbox.hurry()
      this.#lease.renew()
    }
    this.#listeners.emit('status', this.#status)
  }

  async #reset(reset: Reset): Promise<string> {
    const answers = await Promise.all(this.#listeners.emit('reset', reset))
    const cursor = answers.find((answer) => typeof answer === 'string' && parseCursor(answer))
    return (cursor as string | undefined) ?? reset.cursor
  }
}
