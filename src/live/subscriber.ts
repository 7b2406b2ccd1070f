import { TYPING_EVERY_MS } from '../protocol/constants.ts'
import type { Opening, Start } from '../protocol/cursor.ts'
import type { Hint, LogEvent } from '../protocol/event.ts'
import { type PassingEvent, passingKey } from '../protocol/passing.ts'
import type { ResetReason } from '../protocol/types.ts'
import { Seldom } from '../seldom.ts'
import type { Listener } from './bus.ts'
import type { Log } from './log.ts'

/** Who reads an inbox here: told every event once, in order, without a gap. */
export type Reader = {
  onEvent(event: LogEvent): void
  onPassing(event: PassingEvent): void
  onReset(reason: ResetReason, opening: Opening): void
  /** Ends the reader if it belongs to this device, signed out at `at` (ms since 1970). */
  onSignedOut(deviceId: string, at: number): void
}

/** How long a gap may be two hints that overtook each other, before the log is read. */
const GAP_MS = 30
const PAGE = 500
/** The recent past kept in memory, so that a poller who comes back needs no query. */
const TAIL_EVENTS = 64
const TAIL_LENGTH = 64 * 1024
const MAX_AHEAD = 256
/** What two nodes let through goes here once more through one gate; a little comes off for the time on the way. */
const TYPING_HERE_MS = TYPING_EVERY_MS - 100

/**
 * One inbox on this node, whatever the number of its readers: takes the bus's hints, orders them, fills gaps from the
 * log (once for all readers) and keeps the recent tail.
 */
export class Subscriber implements Listener {
  readonly userId: string
  readonly readers = new Set<Reader>()
  /** Epoch of the inbox, and of its database; empty until the log was asked once. */
  epoch = ''
  databaseEpoch = ''
  /** The last event passed on to readers; -1 until the log was asked once. */
  lastId = -1
  readonly #log: Log
  /** Contiguous, ending with `lastId`. */
  #tail: LogEvent[] = []
  #tailLength = 0
  /** Hints that came too early. */
  #ahead: Hint[] = []
  #gapTimer: NodeJS.Timeout | undefined
  #catchingUp = false
  #typing: Seldom | undefined
  #isConfirming = false
  #disposed = false

  constructor(userId: string, log: Log) {
    this.userId = userId
    this.#log = log
  }

  /** A hint from the bus: maybe late, maybe twice, maybe out of order. */
  hint(hint: Hint): void {
    if (this.lastId >= 0 && hint.database_epoch !== this.databaseEpoch) {
      void this.#confirm()
      return
    }
    if (hint.id <= this.lastId) return
    if (this.lastId >= 0 && hint.id === this.lastId + 1 && isWhole(hint)) {
      this.#pass(hint)
      if (this.#ahead.length > 0) this.#passAhead()
      return
    }
    if (this.#ahead.length < MAX_AHEAD) this.#ahead.push(hint)
    if (this.lastId < 0) return
    // Nothing else will come for the next one: its hint came without a body.
    if (hint.id === this.lastId + 1) void this.#catchUp()
    else this.#expectGap()
  }

  /** What is in no log goes to whoever listens just now. */
  pass(event: PassingEvent): void {
    if (event.type === 'typing') {
      this.#typing ??= new Seldom(TYPING_HERE_MS)
      if (!this.#typing.admits(passingKey(event))) return
    }
    for (const reader of this.readers) reader.onPassing(event)
  }

  /** What the log said of this inbox, asked after the subscription was in force. */
  observe(opening: Opening): void {
    if (this.lastId < 0) this.#begin(opening)
    else if (opening.epoch !== this.epoch) this.#restart(opening)
    else if (opening.head > this.lastId) this.#expectGap()
  }

  /** What a head check found. */
  observeHead(databaseEpoch: string, head: number): void {
    if (databaseEpoch !== this.databaseEpoch) void this.#confirm()
    else if (head > this.lastId) this.#expectGap()
  }

  /** Answers a starting point from memory, where memory proves it. */
  recall(start: Start): Opening | undefined {
    if (typeof start !== 'object' || start.epoch !== this.epoch || !this.after(start.id)) return undefined
    return this.#openingAt(start.id)
  }

  /** The events behind `id`, if the tail reaches back to it. */
  after(id: number): LogEvent[] | undefined {
    if (this.lastId < 0 || id > this.lastId) return undefined
    const first = this.#tail[0]?.id ?? this.lastId + 1
    return id + 1 >= first ? this.#tail.slice(id + 1 - first) : undefined
  }

  /** What is remembered of the past may say what no longer holds: it is read again. */
  forget(): void {
    this.#tail = []
    this.#tailLength = 0
  }

  dispose(): void {
    this.#disposed = true
    clearTimeout(this.#gapTimer)
  }

  #pass(event: LogEvent): void {
    this.lastId = event.id
    if (this.#makesPastStale(event)) this.forget()
    this.#tail.push(event)
    this.#tailLength += event.body.json.length
    while (this.#tail.length > TAIL_EVENTS || this.#tailLength > TAIL_LENGTH) {
      this.#tailLength -= this.#tail.shift()?.body.json.length ?? 0
    }
    for (const reader of this.readers) reader.onEvent(event)
  }

  /** What is read again is read as it is now: after these, the remembered past may say what no longer holds. */
  #makesPastStale({ body }: LogEvent): boolean {
    if (body.type === 'member.removed') return body.user_id === this.userId
    return (
      body.type === 'message.edited' || body.type === 'message.deleted' || body.type.startsWith('reaction.')
    )
  }

  #passAhead(): void {
    const ahead = this.#ahead.sort((a, b) => a.id - b.id)
    this.#ahead = []
    for (const hint of ahead) {
      if (hint.database_epoch !== this.databaseEpoch || hint.id <= this.lastId) continue
      if (hint.id === this.lastId + 1 && isWhole(hint)) this.#pass(hint)
      else this.#ahead.push(hint)
    }
    if (this.#ahead.length > 0) this.#expectGap()
  }

  #expectGap(): void {
    if (this.#disposed) return
    this.#gapTimer ??= setTimeout(() => {
      this.#gapTimer = undefined
      void this.#catchUp()
    }, GAP_MS)
  }

  /** Reads the log from where we are. On failure the next head check comes here again. */
  async #catchUp(): Promise<void> {
    if (this.#catchingUp) return
    this.#catchingUp = true
    try {
      let page: LogEvent[]
      do {
        const { epoch } = this
        page = await this.#log.readAfter(this.userId, epoch, this.lastId, PAGE)
        // What was read belongs to another life.
        if (epoch !== this.epoch) break
        const first = page[0]?.id ?? 0
        // Retention overtook us: what lies between will never come.
        if (first > this.lastId + 1) this.#skipTo(page.at(-1)?.id ?? first)
        for (const event of page) if (event.id === this.lastId + 1) this.#pass(event)
      } while (page.length === PAGE && !this.#disposed)
    } catch {
      // Postgres is away; the hub asks for heads until it is back.
    } finally {
      this.#catchingUp = false
    }
    // Also what came meanwhile and is still too early gets its turn.
    this.#passAhead()
  }

  /** A hint of another life: either one that came late, or this inbox has begun anew. The log knows. */
  async #confirm(): Promise<void> {
    if (this.#isConfirming) return
    this.#isConfirming = true
    try {
      const opening = await this.#log.open(this.userId, 'head')
      if (!this.#disposed) this.observe(opening)
    } catch {
      // The next head check asks again.
    } finally {
      this.#isConfirming = false
    }
  }

  #openingAt(after: number): Opening {
    return { epoch: this.epoch, database_epoch: this.databaseEpoch, head: this.lastId, after }
  }

  #skipTo(head: number): void {
    this.lastId = head
    this.forget()
    for (const reader of [...this.readers]) reader.onReset('expired', this.#openingAt(head))
  }

  #begin({ epoch, database_epoch, head }: Opening): void {
    this.epoch = epoch
    this.databaseEpoch = database_epoch
    this.lastId = head
    this.forget()
    this.#passAhead()
  }

  /** The database began another life: every cursor given out is void. */
  #restart(opening: Opening): void {
    for (const reader of [...this.readers]) reader.onReset('unknown', opening)
    this.#begin(opening)
  }
}

function isWhole(hint: Hint): hint is Hint & LogEvent {
  return hint.body !== undefined
}
