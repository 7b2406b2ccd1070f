import type { Bus, Subscription } from './bus.ts'
import type { Log } from './log.ts'
import { Subscriber } from './subscriber.ts'

/** How long an inbox stays subscribed without a reader, so that a poller between two polls costs nothing. */
const LINGER_MS = 30_000
const HEAD_CHECK_BATCH = 5_000
/** Between two head checks, a quarter more or less: a lost hint costs no more. */
const HEAD_CHECK_MS = 2_000
/** While hints of other nodes do not arrive: delivery goes on without them. */
const HEAD_CHECK_BUS_DOWN_MS = 750
/** While Postgres is away: it is asked often, so that all goes on at once when it is back. */
const HEAD_CHECK_FAILED_MS = 400

type Entry = { subscriber: Subscriber; inForce: Promise<Subscription>; uses: number; idleSince: number }

/** A use of a subscriber; disposing of it lets the hub drop the inbox after a while. */
export type SubscriberLease = Disposable & { readonly subscriber: Subscriber }

/** The inboxes that this node serves just now. */
export class Hub implements Disposable {
  readonly #bus: Bus
  readonly #log: Log
  readonly #entries = new Map<string, Entry>()
  readonly #onError: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #isChecking = false
  #isCheckDue = false
  #hasFailed = false
  #disposed = false

  constructor(bus: Bus, log: Log, onError: (error: unknown) => void) {
    this.#bus = bus
    this.#log = log
    this.#onError = onError
    bus.onChange(() => void this.#runCheck())
    this.#schedule(this.#pause())
  }

  /** Inboxes subscribed, those that linger included. */
  get size(): number {
    return this.#entries.size
  }

  /** The subscriber of an inbox, its subscription in force. */
  async open(userId: string): Promise<SubscriberLease> {
    const entry = this.#entries.get(userId) ?? this.#subscribe(userId)
    entry.uses += 1
    const release = () => {
      entry.uses -= 1
      entry.idleSince = performance.now()
    }
    try {
      await entry.inForce
    } catch (error) {
      release()
      if (this.#entries.get(userId) === entry) this.#drop(userId, entry)
      throw error
    }
    return { subscriber: entry.subscriber, [Symbol.dispose]: release }
  }

  /** The subscriber of an inbox if this node serves it. */
  peek(userId: string): Subscriber | undefined {
    return this.#entries.get(userId)?.subscriber
  }

  /** Reads again what is remembered of every inbox: some of it may not be seen any more. */
  forget(): void {
    for (const { subscriber } of this.#entries.values()) subscriber.forget()
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    clearTimeout(this.#timer)
    for (const [userId, entry] of this.#entries) this.#drop(userId, entry)
  }

  #subscribe(userId: string): Entry {
    const subscriber = new Subscriber(userId, this.#log)
    const inForce = this.#bus.subscribe(userId, subscriber)
    const entry = { subscriber, inForce, uses: 0, idleSince: performance.now() }
    this.#entries.set(userId, entry)
    return entry
  }

  #drop(userId: string, entry: Entry): void {
    this.#entries.delete(userId)
    entry.subscriber.dispose()
    entry.inForce.then((subscription) => subscription[Symbol.dispose]()).catch(() => {})
  }

  #schedule(afterMs: number): void {
    if (this.#disposed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#runCheck(), afterMs * (0.75 + Math.random() / 2)).unref()
  }

  #pause(): number {
    return this.#bus.isUp ? HEAD_CHECK_MS : HEAD_CHECK_BUS_DOWN_MS
  }

  /** One check at a time; one asked for meanwhile follows at once. */
  async #runCheck(): Promise<void> {
    this.#isCheckDue = this.#isChecking
    if (this.#isChecking || this.#disposed) return
    this.#isChecking = true
    let pause = HEAD_CHECK_FAILED_MS
    try {
      await this.#checkHeads()
      pause = this.#pause()
      this.#hasFailed = false
    } catch (error) {
      // Told once, though it is tried several times a second.
      if (!this.#hasFailed && !this.#disposed) this.#onError(error)
      this.#hasFailed = true
    } finally {
      this.#isChecking = false
    }
    this.#schedule(this.#isCheckDue ? 0 : pause)
  }

  /** Finds what no hint told of: lost by the bus, or committed by a node that died before it could tell. */
  async #checkHeads(): Promise<void> {
    const now = performance.now()
    for (const [userId, entry] of this.#entries) {
      if (entry.uses === 0 && now - entry.idleSince > LINGER_MS) this.#drop(userId, entry)
    }
    const served = [...this.#entries.values()].filter(({ subscriber }) => subscriber.lastId >= 0)
    for (let from = 0; from < served.length; from += HEAD_CHECK_BATCH) {
      await this.#checkBatch(served.slice(from, from + HEAD_CHECK_BATCH).map(({ subscriber }) => subscriber))
    }
  }

  async #checkBatch(batch: readonly Subscriber[]): Promise<void> {
    const known = batch.map(({ databaseEpoch, lastId }) => ({ databaseEpoch, lastId }))
    const { database_epoch, heads } = await this.#log.heads(batch.map(({ userId }) => userId))
    // What was there before the query is not: the database was set back, and no cursor of this life is good any more.
    const isSetBack = batch.some(({ userId }, index) => {
      const before = known[index]
      const head = heads.get(userId)
      return before?.databaseEpoch === database_epoch && head !== undefined && head < before.lastId
    })
    if (isSetBack) {
      await this.#log.redrawEpoch(database_epoch)
      this.#isCheckDue = true
      return
    }
    for (const subscriber of batch) {
      const head = heads.get(subscriber.userId)
      if (head !== undefined) subscriber.observeHead(database_epoch, head)
    }
  }
}
