import type { Bus, Subscription } from './bus.ts'
import type { Log } from './log.ts'
import { Subscriber } from './subscriber.ts'

/** How long an inbox stays subscribed without a reader, so that a poller between two polls costs nothing. */
const LINGER_MS = 30_000
const HEAD_CHECK_MS = 3_000
const HEAD_CHECK_BATCH = 5_000

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
  #disposed = false

  constructor(bus: Bus, log: Log, onError: (error: unknown) => void) {
    this.#bus = bus
    this.#log = log
    this.#onError = onError
    this.#schedule()
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

  [Symbol.dispose](): void {
    this.#disposed = true
    clearTimeout(this.#timer)
    for (const [userId, entry] of this.#entries) this.#drop(userId, entry)
  }

  #subscribe(userId: string): Entry {
    const subscriber = new Subscriber(userId, this.#log)
    const inForce = this.#bus.subscribe(userId, (event) => subscriber.hint(event))
    const entry = { subscriber, inForce, uses: 0, idleSince: performance.now() }
    this.#entries.set(userId, entry)
    return entry
  }

  #drop(userId: string, entry: Entry): void {
    this.#entries.delete(userId)
    entry.subscriber.dispose()
    entry.inForce.then((subscription) => subscription[Symbol.dispose]()).catch(() => {})
  }

  #schedule(): void {
    if (this.#disposed) return
    this.#timer = setTimeout(
      () =>
        void this.#checkHeads()
          .catch(this.#onError)
          .finally(() => this.#schedule()),
      HEAD_CHECK_MS * (0.75 + Math.random() / 2),
    ).unref()
  }

  /** Finds what no hint told of: lost by the bus, or committed by a node that died before it could tell. */
  async #checkHeads(): Promise<void> {
    const now = performance.now()
    for (const [userId, entry] of this.#entries) {
      if (entry.uses === 0 && now - entry.idleSince > LINGER_MS) this.#drop(userId, entry)
    }
    const served = [...this.#entries.values()].filter(({ subscriber }) => subscriber.lastId >= 0)
    for (let from = 0; from < served.length; from += HEAD_CHECK_BATCH) {
      const batch = served.slice(from, from + HEAD_CHECK_BATCH).map(({ subscriber }) => subscriber)
      const heads = await this.#log.heads(batch.map(({ userId }) => userId))
      for (const subscriber of batch) {
        const found = heads.get(subscriber.userId)
        if (found) subscriber.observe(found.epoch, found.head)
      }
    }
  }
}
