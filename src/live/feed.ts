import type { Opening, Start } from '../protocol/cursor.ts'
import type { LogEvent } from '../protocol/event.ts'
import type { PassingEvent } from '../protocol/passing.ts'
import type { ResetReason } from '../protocol/types.ts'
import type { Hub, SubscriberLease } from './hub.ts'
import type { Log } from './log.ts'
import type { Reader } from './subscriber.ts'

/** Where a feed delivers to: a stream or a poll. */
export type Sink = {
  /** The next event, in order, without a gap. */
  push(event: LogEvent): void
  /** An event that is in no log: taken at once or not at all, never kept until there is room. */
  pass(event: PassingEvent): void
  /** Resolves when there is room for more; the log is not read further before. */
  room(): Promise<void> | undefined
  /** All that the log held was pushed; from here on events come as they are committed. */
  live(): void
  /** The cursors of this inbox are void; the feed goes on from `opening.after`. */
  reset(reason: ResetReason, opening: Opening): void
  signedOut(): void
  /** The log could not be read; the feed is over. */
  failed(error: unknown): void
}

export type FeedRequest = {
  userId: string
  deviceId: string
  /** When what was shown was issued (ms since 1970), where a device may be signed out and come back. */
  issuedAt?: number | undefined
  start: Start
  /** Ask the log even where memory has the answer: a hint from another node may still be on its way. */
  exact?: boolean
}

const PAGE = 200
const FIRST_PAGE = 16
/** Pages grow while they are smaller (UTF-16 units) and shrink above: what a reader costs is counted in bytes. */
const PAGE_LENGTH = 64 * 1024

/**
 * One reader's way through an inbox: backfill from the log, cut over, live. The same for every transport.
 * The subscription is in force before the log is read, so no event falls between the two.
 */
export class Feed implements Reader, Disposable {
  /** The last event pushed. */
  position: number
  readonly opening: Opening
  readonly #lease: SubscriberLease
  readonly #log: Log
  readonly #deviceId: string
  readonly #issuedAt: number
  #sink: Sink | undefined
  /** It may happen before there is a sink to tell. */
  #isSignedOut = false
  #resetBefore: { reason: ResetReason; opening: Opening } | undefined
  #phase: 'opened' | 'backfill' | 'live' | 'ended' = 'opened'

  private constructor(lease: SubscriberLease, log: Log, opening: Opening, request: FeedRequest) {
    this.#lease = lease
    this.#log = log
    this.#deviceId = request.deviceId
    this.#issuedAt = request.issuedAt ?? 0
    this.opening = opening
    this.position = opening.after
  }

  /** Subscribes and judges the starting point. Nothing is delivered before `deliver`. Rejects when the log cannot be read. */
  static async open(hub: Hub, log: Log, request: FeedRequest): Promise<Feed> {
    const { userId, start, exact } = request
    const lease = await hub.open(userId)
    try {
      const recalled = exact ? undefined : lease.subscriber.recall(start)
      const opening = recalled ?? (await log.open(userId, start))
      lease.subscriber.observe(opening)
      const feed = new Feed(lease, log, opening, request)
      lease.subscriber.readers.add(feed)
      return feed
    } catch (error) {
      lease[Symbol.dispose]()
      throw error
    }
  }

  get epoch(): string {
    return this.#lease.subscriber.epoch
  }

  /** The head as this node knows it; at least what was pushed. */
  get head(): number {
    return Math.max(this.#knownHead(), this.position)
  }

  get isLive(): boolean {
    return this.#phase === 'live'
  }

  /** Begins to push into `sink`. */
  deliver(sink: Sink, pageSize = PAGE): void {
    this.#sink = sink
    const before = this.#resetBefore
    if (before) sink.reset(before.reason, before.opening)
    if (this.#isSignedOut) sink.signedOut()
    else if (!this.#hasEnded()) void this.#backfill(sink, pageSize)
  }

  /** A live reader cannot take more just now: from here on it reads the log at its own pace until it has caught up. */
  fallBehind(): void {
    if (this.#phase === 'live' && this.#sink) void this.#backfill(this.#sink, PAGE)
  }

  onEvent(event: LogEvent): void {
    if (this.#phase !== 'live' || event.id !== this.position + 1) return
    this.position = event.id
    this.#sink?.push(event)
  }

  /** Only while live: whoever is behind has older things to read. */
  onPassing(event: PassingEvent): void {
    if (this.#phase === 'live') this.#sink?.pass(event)
  }

  onReset(reason: ResetReason, opening: Opening): void {
    if (this.#phase === 'ended') return
    this.position = opening.after
    if (this.#sink) this.#sink.reset(reason, opening)
    else this.#resetBefore = { reason, opening }
  }

  onSignedOut(deviceId: string, at: number): void {
    if (deviceId !== this.#deviceId || this.#issuedAt > at || this.#phase === 'ended') return
    this.#isSignedOut = true
    this.#sink?.signedOut()
  }

  [Symbol.dispose](): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#lease.subscriber.readers.delete(this)
    this.#lease[Symbol.dispose]()
  }

  async #backfill(sink: Sink, pageSize: number): Promise<void> {
    const { subscriber } = this.#lease
    let limit = Math.min(FIRST_PAGE, pageSize)
    this.#phase = 'backfill'
    try {
      await sink.room()
      for (;;) {
        if (this.#hasEnded()) return
        const { position } = this
        const head = this.#knownHead()
        const remembered = position < subscriber.lastId ? subscriber.after(position) : undefined
        const page = remembered ?? (await this.#readLog(position, head, limit))
        if (this.#hasEnded()) return
        // A reset came meanwhile: what was read belongs to another life.
        if (this.position !== position) continue
        if (page[0] ? page[0].id !== position + 1 : position < head) this.#skipDropped(sink)
        else this.#pushAll(page, sink)
        if (this.#hasEnded()) return
        // The cut-over: no await between this comparison and the change of phase.
        if (this.position >= this.#knownHead()) break
        await sink.room()
        if (this.#hasEnded()) return
        limit = lengthOf(page) > PAGE_LENGTH ? Math.max(limit >> 1, 1) : Math.min(limit * 2, pageSize)
      }
      this.#phase = 'live'
      sink.live()
    } catch (error) {
      if (!this.#hasEnded()) sink.failed(error)
    }
  }

  // A method, as the compiler would otherwise believe that no call in between can change the phase.
  #hasEnded(): boolean {
    return this.#phase === 'ended'
  }

  /** The opening may know more than the hints have told yet. */
  #knownHead(): number {
    const { epoch, lastId } = this.#lease.subscriber
    return epoch === this.opening.epoch ? Math.max(lastId, this.opening.head) : lastId
  }

  async #readLog(position: number, head: number, pageSize: number): Promise<LogEvent[]> {
    const { userId, epoch } = this.#lease.subscriber
    return position < head ? this.#log.readAfter(userId, epoch, position, pageSize) : []
  }

  #pushAll(page: readonly LogEvent[], sink: Sink): void {
    for (const event of page) {
      this.position = event.id
      sink.push(event)
      if (this.#hasEnded()) return
    }
  }

  /** The log has nothing where there should be something: retention overtook this reader. */
  #skipDropped(sink: Sink): void {
    const { epoch, databaseEpoch } = this.#lease.subscriber
    const head = this.#knownHead()
    this.position = head
    sink.reset('expired', { epoch, database_epoch: databaseEpoch, head, after: head })
  }
}

function lengthOf(page: readonly LogEvent[]): number {
  return page.reduce((sum, { body }) => sum + body.json.length, 0)
}
