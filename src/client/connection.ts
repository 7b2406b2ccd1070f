import { formatCursor, parseCursor } from '../protocol/cursor.ts'
import type { Failure, Input, Status } from './ladder/draft.ts'
import type { Rung } from './ladder/rungs.ts'
import { initialState, type State } from './ladder/state.ts'
import { dueAt, step } from './ladder/step.ts'
import { NEVER } from './ladder/timing.ts'
import type { Lag } from './lag.ts'
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

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** One inbox, read by whatever gets through: the ladder's effects made real. */
export class Connection {
  readonly #transports: Transports
  readonly #reading: Reading
  readonly #handlers: ConnectionHandlers
  readonly #lag: Lag
  readonly #open = new Map<number, { close: () => void; after: string | undefined }>()
  #state: State
  #timer: ReturnType<typeof setTimeout> | undefined
  #isClosed = false
  #isCatchingUp = false
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
    this.#state = initialState({ ...options, hasCursor: reading.isPlaced })
  }

  start(): void {
    this.give({ type: 'start', hasCursor: this.#reading.isPlaced, highest: this.#reading.id })
  }

  /** Opens nothing any more until it is started again. */
  halt(): void {
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
    if (this.#isCatchingUp) return
    this.#isCatchingUp = true
    for (let hasMore = true; hasMore && this.#state.isHalted && !this.#isClosed; ) {
      const { cursor: after } = this.#reading
      const answer = await this.#transports.requests.json('/v1/events', { as: 'poll', wait: 0, after })
      if (!this.#state.isHalted || !answer.ok) break
      const heard = this.#takeAnswer(0, answer.body, after)
      hasMore = heard.type === 'answered' && heard.hasMore
    }
    this.#isCatchingUp = false
  }

  close(): void {
    this.give({ type: 'halt' })
    this.#isClosed = true
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
    this.#timer = setTimeout(
      () => this.give({ type: 'tick' }),
      Math.min(Math.max(1, pause), LONGEST_TIMER_MS),
    )
  }

  #openAttempt(open: Open): void {
    const { cursor: after } = this.#reading
    const request = { ...open, after, isRetry: this.#hasFailed }
    this.#hasFailed = false
    const close = openAttempt(this.#transports, request, this.#hearer(open.attempt))
    this.#open.set(open.attempt, { close, after })
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
        if (isOpen()) this.#takeFrame(attempt, frame)
      },
      bytes: () => {
        if (isOpen()) this.give({ type: 'bytes', attempt })
      },
      answer: (body) => {
        if (isOpen()) end(this.#takeAnswer(attempt, body, this.#open.get(attempt)?.after))
      },
      ended: () => end({ type: 'ended', attempt }),
      failed: (failure: Failure) => end({ type: 'failed', attempt, ...failure }),
    }
  }

  #takeFrame(attempt: number, frame: Frame): void {
    const data = dataOf(frame)
    if (!data) {
      this.#end({ type: 'failed', attempt, fault: 'broken', reason: 'a frame that is not whole' })
    } else if (frame.event === '') this.#takeEvent(attempt, data, frame.id)
    else if (frame.event === 'hello') {
      if (isElsewhere(this.#open.get(attempt)?.after, String(data.cursor))) this.#end(elsewhere(attempt))
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
      if (/^(token|signed)/.test(String(data.reason)))
        void this.#transports.requests.credentials.refuse(undefined)
      this.#end({
        type: 'bye',
        attempt,
        reason: String(data.reason),
        retryMs: Number(data.retry_ms) || 2_000,
      })
    } else if (frame.event === 'reset')
      this.#reset({ cursor: String(data.cursor), reason: String(data.reason) })
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
    const verdict = this.#reading.take({ epoch, id: event.id })
    if (verdict === 'next') {
      this.#handlers.event(event)
    }
    return verdict !== 'gap'
  }

  #takeAnswer(attempt: number, body: unknown, after: string | undefined): LastInput {
    const { cursor, events, has_more, reset } = body as Record<string, unknown>
    const at = parseCursor(String(cursor))
    const broken = { type: 'failed', attempt, fault: 'broken', reason: 'not the answer of a poll' } as const
    if (!at || !Array.isArray(events)) return broken
    if (typeof reset === 'string') {
      this.#reset({ cursor: String(cursor), reason: reset })
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

  #reset(reset: Reset): void {
    const isReading = !this.#state.isHalted
    this.give({ type: 'halt' })
    const goOn = (cursor: string) => {
      this.#reading.begin(cursor)
      if (isReading) this.start()
      else void this.catchUp()
    }
    this.#handlers.reset(reset).then(goOn, () => goOn(reset.cursor))
  }
}

/** A cache may answer another question than the one that was asked, and some boxes drop what is behind a "?". */
function isElsewhere(after: string | undefined, from: string): boolean {
  return parseCursor(after ?? '') !== undefined && after !== from
}

function elsewhere(attempt: number): LastInput {
  return { type: 'failed', attempt, fault: 'refused', reason: 'not the answer to what was asked' }
}
