import { formatCursor, parseCursor } from '../protocol/cursor.ts'
import type { Failure, Input, Status } from './ladder/draft.ts'
import type { Rung } from './ladder/rungs.ts'
import { initialState, type State } from './ladder/state.ts'
import { dueAt, step } from './ladder/step.ts'
import { CATCH_UP_PAUSE_MS, MINUTE_MS, NEVER, RESET_PAUSE_MS } from './ladder/timing.ts'
import type { Lag } from './lag.ts'
import { pause } from './pause.ts'
import type { Reading } from './reading.ts'
import type { Frame } from './sse-parser.ts'
import { dataOf, type Hearer, type Open, openAttempt, type Transports } from './transports.ts'

type LastInput = Extract<Input, { attempt: number }>

type EventFields = { type: string; at: string; conversation_id?: string; [field: string]: unknown }

export type InboxEvent = EventFields & { id: number }
export type PassingEvent = EventFields & { id: null }
export type Reset = { cursor: string; reason: string }

export type ConnectionHandlers = {
  event(event: InboxEvent): void
  passing(event: PassingEvent): void
  status(status: Status): void
  remember(rung: Rung): void
  /** Resolves with the cursor to go on from. Nothing is read meanwhile. */
  reset(reset: Reset): Promise<string>
}

type OpenAttempt = {
  close: () => void
  after: string | undefined
  /** Tokens that were dropped before it was opened. */
  refusals: number
  /** It greeted from another place than it was asked for. */
  isElsewhere?: true
}

/** One inbox, read by whatever gets through: the ladder's effects made real. */
export class Connection {
  readonly #transports: Transports
  readonly #reading: Reading
  readonly #handlers: ConnectionHandlers
  readonly #lag: Lag
  readonly #open = new Map<number, OpenAttempt>()
  readonly #closing = new AbortController()
  #state: State
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Whether this is to read itself, be it after a reset. */
  #isWanted = false
  #isResetting = false
  #resetAt = -NEVER
  #resets = 0
  #isCatchingUp = false
  #catchUpAt = 0
  /** Whether the last attempt failed: the next is not to use its connection. */
  #hasFailed = false

  constructor(
    transports: Transports,
    reading: Reading,
    lag: Lag,
    options: { rungs: readonly Rung[]; remembered: Rung | undefined; isVisible: boolean },
    handlers: ConnectionHandlers,
  ) {
    this.#transports = transports
    this.#reading = reading
    this.#lag = lag
    this.#handlers = handlers
    // Only the server can tell where the oldest event is: where a box drops the query, what it says is of the newest.
    const isPosting = reading.cursor === '0'
    this.#state = initialState({ ...options, hasCursor: reading.isPlaced, isPosting })
  }

  start(): void {
    this.#isWanted = true
    if (this.#isResetting) return
    this.give({ type: 'start', hasCursor: this.#reading.isPlaced, highest: this.#reading.id })
  }

  /** Opens nothing any more until it is started again. */
  halt(): void {
    this.#isWanted = false
    this.give({ type: 'halt' })
  }

  /** Takes an event that another tab heard. One that comes too early makes this read what is between. */
  take(event: InboxEvent, cursor: string): void {
    const { epoch = '' } = parseCursor(cursor) ?? {}
    if (!this.#deliver(event, epoch)) void this.catchUp()
  }

  /** Goes where another tab is, if that is further. */
  follow(cursor: string | undefined): void {
    const [there, here] = [parseCursor(cursor ?? ''), parseCursor(this.#reading.cursor ?? '')]
    if (there && (there.epoch !== here?.epoch || there.id > here.id)) void this.catchUp()
  }

  /** Reads on by polls until there is no more, while this opens nothing itself. */
  async catchUp(): Promise<void> {
    if (this.#isCatchingUp || performance.now() < this.#catchUpAt) return
    this.#isCatchingUp = true
    const { signal } = this.#closing
    for (let hasMore = true; hasMore && this.#isIdle(); ) {
      const { cursor: after } = this.#reading
      const body = { as: 'poll', wait: 0, after }
      const answer = await this.#transports.requests.json('/v1/events', body, { signal })
      if (!answer.ok) this.#catchUpAt = performance.now() + (answer.retryAfterMs ?? CATCH_UP_PAUSE_MS)
      if (!answer.ok || !this.#isIdle()) break
      const heard = this.#takeAnswer(0, answer.body, after)
      hasMore = heard.type === 'answered' && heard.hasMore
    }
    this.#isCatchingUp = false
  }

  /** Whether this tab reads through another just now. */
  #isIdle(): boolean {
    return this.#state.isHalted && !this.#isResetting && !this.#isClosed
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  close(): void {
    this.halt()
    this.#closing.abort()
    clearTimeout(this.#timer)
  }

  /** Tells the machine what happened, and does what it says. */
  give(input: Input): void {
    if (this.#isClosed) return
    if (input.type === 'failed') this.#hasFailed = true
    const [state, effects] = step(this.#state, input, performance.now(), Math.random)
    this.#state = state
    for (const effect of effects) {
      if (effect.type === 'open') this.#openAttempt(effect)
      else if (effect.type === 'close') this.#closeAttempt(effect.attempt)
      else if (effect.type === 'remember') this.#handlers.remember(effect.rung)
      else this.#handlers.status(effect)
    }
    this.#setTimer()
  }

  #setTimer(): void {
    clearTimeout(this.#timer)
    const pause = dueAt(this.#state) - performance.now()
    if (pause === NEVER) return
    this.#timer = setTimeout(() => this.give({ type: 'tick' }), Math.max(1, pause))
  }

  #openAttempt(open: Open): void {
    const { cursor: after } = this.#reading
    const request = { ...open, after, isRetry: this.#hasFailed }
    this.#hasFailed = false
    const close = openAttempt(this.#transports, request, this.#hearer(open.attempt))
    const { refusals } = this.#transports.requests.credentials
    this.#open.set(open.attempt, { close, after, refusals })
  }

  /** The last that is heard of an attempt. */
  #end(input: LastInput): void {
    this.#closeAttempt(input.attempt)
    this.give(input)
  }

  #closeAttempt(attempt: number): void {
    this.#open.get(attempt)?.close()
    this.#open.delete(attempt)
  }

  /** What is heard of an attempt that was closed has no effect. */
  #hearer(attempt: number): Hearer {
    const isOpen = () => this.#open.has(attempt)
    const end = (input: LastInput) => {
      if (isOpen()) this.#end(input)
    }
    return {
      frame: (frame) => {
        const open = this.#open.get(attempt)
        if (open) this.#takeFrame(attempt, open, frame)
      },
      bytes: () => {
        if (isOpen()) this.give({ type: 'bytes', attempt })
      },
      answer: (body) => {
        const open = this.#open.get(attempt)
        if (open) end(this.#takeAnswer(attempt, body, open.after))
      },
      ended: () => end({ type: 'ended', attempt }),
      failed: (failure: Failure) => end({ type: 'failed', attempt, ...failure }),
    }
  }

  #takeFrame(attempt: number, open: OpenAttempt, frame: Frame): void {
    const data = dataOf(frame)
    if (!data) {
      this.#end({ type: 'failed', attempt, fault: 'broken', reason: 'an answer that is not whole' })
    } else if (frame.event === 'reset') {
      void this.#reset({ cursor: String(data.cursor), reason: String(data.reason) })
    } else if (open.isElsewhere) this.#end(elsewhere(attempt))
    else if (frame.event === '') this.#takeEvent(attempt, data, frame.id)
    else if (frame.event === 'hello') {
      // From the head, if a reset follows.
      if (isElsewhere(open.after, String(data.cursor))) open.isElsewhere = true
      else {
        this.#reading.place(String(data.cursor))
        this.give({ type: 'hello', attempt, heartbeatMs: Number(data.heartbeat) * 1_000 })
      }
    } else if (frame.event === 'heartbeat') {
      this.#lag.of(data.at)
      this.give({ type: 'sign', attempt })
      // The server knows of more than it could send here.
      if ((parseCursor(String(data.head))?.id ?? 0) > this.#reading.id) this.give({ type: 'expect' })
    } else if (frame.event === 'bye') {
      const { credentials } = this.#transports.requests
      // Unless another one has come meanwhile.
      if (/^(token|signed)/.test(String(data.reason)) && open.refusals === credentials.refusals)
        void credentials.refuse(undefined)
      this.#end({
        type: 'bye',
        attempt,
        reason: String(data.reason),
        retryMs: Number(data.retry_ms) || 2_000,
      })
    }
  }

  #takeEvent(attempt: number, data: Record<string, unknown>, cursor: string | undefined): void {
    if (data.id === null) {
      this.#handlers.passing(data as PassingEvent)
      this.give({ type: 'sign', attempt })
      return
    }
    const { epoch } = parseCursor(cursor ?? '') ?? {}
    const event = data as InboxEvent
    const lagMs = this.#lag.of(event.at)
    if (epoch !== undefined && this.#deliver(event, epoch))
      this.give({ type: 'event', attempt, id: event.id, lagMs })
    else this.#end({ type: 'gap', attempt })
  }

  /** Lets an event through if it is the next. False if one before it is missing. */
  #deliver(event: InboxEvent, epoch: string): boolean {
    if (this.#isClosed || this.#isResetting) return false
    const verdict = this.#reading.take({ epoch, id: event.id })
    if (verdict === 'next') this.#handlers.event(event)
    return verdict !== 'gap'
  }

  #takeAnswer(attempt: number, body: unknown, after: string | undefined): LastInput {
    const { cursor, events, has_more, reset } = body as Record<string, unknown>
    const at = parseCursor(String(cursor))
    const broken = {
      type: 'failed',
      attempt,
      fault: 'broken',
      reason: 'an answer that is not whole',
    } as const
    if (!at || !Array.isArray(events)) return broken
    if (typeof reset === 'string') {
      void this.#reset({ cursor: String(cursor), reason: reset })
      return { type: 'bytes', attempt }
    }
    const [first] = events as InboxEvent[]
    const from = formatCursor({ ...at, id: typeof first?.id === 'number' ? first.id - 1 : at.id })
    if (isElsewhere(after, from)) return elsewhere(attempt)
    this.#reading.place(from)
    for (const event of events as InboxEvent[]) {
      if (event.id === null) this.#handlers.passing(event as unknown as PassingEvent)
      else if (!this.#deliver(event, at.epoch)) return broken
    }
    return { type: 'answered', attempt, highest: at.id, events: events.length, hasMore: has_more === true }
  }

  /** One at a time; those that follow each other within a minute are paced. */
  async #reset(reset: Reset): Promise<void> {
    if (this.#isResetting) return
    this.#isResetting = true
    this.give({ type: 'halt' })
    const cursor = await this.#handlers.reset(reset).catch(() => reset.cursor)
    if (performance.now() - this.#resetAt > MINUTE_MS) this.#resets = 0
    await pause(this.#resets++ * RESET_PAUSE_MS, this.#closing.signal)
    this.#resetAt = performance.now()
    this.#isResetting = false
    this.#reading.begin(cursor)
    if (this.#isWanted) this.start()
    else void this.catchUp()
  }
}

/** A cache may answer another question than the one that was asked, and some boxes drop what is behind a "?". */
function isElsewhere(after: string | undefined, from: string): boolean {
  return parseCursor(after ?? '') !== undefined && after !== from
}

function elsewhere(attempt: number): LastInput {
  return { type: 'failed', attempt, fault: 'refused', reason: 'another answer' }
}
