/** A device that is there, or was: seen and asked for something so many ms ago. */
type Sighting = {
  user_id: string
  device_id: string
  seen_ago: number
  asked_ago: number
  /** Whether a person is looking, if it said so. */
  active: boolean | null
}

type Device = { user_id: string; device_id: string }

/** What this node knows of a device; ms, monotonic. */
type Visit = Device & {
  /** Its streams and polls that are open here. */
  open: number
  askedAt: number
  /** For one that has nothing open. */
  seenAt: number
  active: boolean | null
  /** When it was seen, as far as that is written. */
  writtenSeen: number
}

const BATCH = 500
/** Fractions of a lease: when a device is written down again, and how often those that are due are looked for. */
const RENEW = 1 / 2
const TICK = 1 / 40
/** A node that goes away does not wait longer for its last words. */
const LAST_WORDS_MS = 1_500

/** Handed in, since live/ knows no SQL. */
export type PresenceRecord = {
  /** Writes down who was seen. Resolves with those of them whom others believe to be away. */
  see(sightings: readonly Sighting[]): Promise<string[]>
}

/**
 * Which devices are at this node. Each is written down when it comes, when it was there for half a lease, and once more
 * when it has left: so others see it for a lease longer than this node does, and a poller between two polls costs nothing.
 */
export class Presence implements AsyncDisposable {
  readonly #record: PresenceRecord
  readonly #leaseMs: number
  readonly #onArrived: (userIds: readonly string[]) => void
  readonly #onError: (error: unknown) => void
  readonly #visits = new Map<string, Visit>()
  readonly #timer: NodeJS.Timeout
  #due = new Set<Visit>()
  #writing: Promise<void> | undefined
  #hasFailed = false
  #isClosed = false

  /** `onArrived` is told who is there and believed to be away; of errors only the first of a row is told. */
  constructor(
    record: PresenceRecord,
    leaseMs: number,
    onArrived: (userIds: readonly string[]) => void,
    onError: (error: unknown) => void,
  ) {
    this.#record = record
    this.#leaseMs = leaseMs
    this.#onArrived = onArrived
    this.#onError = onError
    this.#timer = setInterval(() => this.#tick(), leaseMs * TICK).unref()
  }

  /** A device has opened a stream or a poll here; disposing says that this one has ended. */
  arrive(device: Device): Disposable {
    const visit = this.#visitOf(device)
    visit.open += 1
    this.#asks(visit)
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        visit.open -= 1
        visit.seenAt = performance.now()
      },
    }
  }

  /** A device has renewed its lease, here as good as anywhere. `active` where it said whether a person is looking. */
  renew(device: Device, active: boolean | null): void {
    const visit = this.#visitOf(device)
    const isNews = active !== null && active !== visit.active
    if (active !== null) visit.active = active
    this.#asks(visit, isNews)
  }

  /** Somebody's devices are written down now: who is written down depends on the person, and that has changed. */
  writeDown(userId: string): void {
    for (const visit of this.#visits.values()) if (visit.user_id === userId) this.#mustWrite(visit)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#isClosed = true
    await this.#writing
    const unwritten = [...this.#visits.values()].filter((visit) => seenAt(visit) > visit.writtenSeen)
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
    }, LAST_WORDS_MS)
    for (let from = 0; from < unwritten.length && !isLate; from += BATCH) {
      const isWritten = await this.#record
        .see(unwritten.slice(from, from + BATCH).map(sighting))
        .catch(() => undefined)
      if (!isWritten) break
    }
    clearTimeout(timer)
  }

  #visitOf({ user_id, device_id }: Device): Visit {
    const key = `${user_id}\0${device_id}`
    const known = this.#visits.get(key)
    if (known) return known
    const now = performance.now()
    const visit: Visit = {
      ...{ user_id, device_id, open: 0, askedAt: now, seenAt: now },
      ...{ active: null, writtenSeen: Number.NEGATIVE_INFINITY },
    }
    this.#visits.set(key, visit)
    return visit
  }

  #asks(visit: Visit, isNews = false): void {
    visit.askedAt = performance.now()
    visit.seenAt = visit.askedAt
    if (isNews || visit.askedAt - visit.writtenSeen >= this.#leaseMs * RENEW) this.#mustWrite(visit)
  }

  #mustWrite(visit: Visit): void {
    this.#due.add(visit)
    if (!this.#isClosed && !this.#hasFailed) this.#writing ??= this.#write()
  }

  /** Looks for those of whom nothing new was written for long, and forgets those of whom there is nothing new. */
  #tick(): void {
    const horizon = performance.now() - this.#leaseMs * RENEW
    for (const [key, visit] of this.#visits) {
      if (visit.writtenSeen > horizon) continue
      if (visit.open > 0 || visit.seenAt > visit.writtenSeen) this.#due.add(visit)
      else this.#visits.delete(key)
    }
    if (this.#due.size > 0) this.#writing ??= this.#write()
  }

  /** Like sends, those who come while a write is under way go together into the next one. */
  async #write(): Promise<void> {
    try {
      while (this.#due.size > 0 && !this.#isClosed) {
        const due = [...this.#due]
        this.#due = new Set(due.slice(BATCH))
        await this.#writeBatch(due.slice(0, BATCH))
      }
      this.#hasFailed = false
    } catch (error) {
      // The next tick tries again.
      if (!this.#hasFailed) this.#onError(error)
      this.#hasFailed = true
    } finally {
      this.#writing = undefined
    }
  }

  async #writeBatch(batch: readonly Visit[]): Promise<void> {
    const seen = batch.map(seenAt)
    const sightings = batch.map(sighting)
    try {
      const arrived = await this.#record.see(sightings)
      for (const [index, visit] of batch.entries()) {
        visit.writtenSeen = seen[index] ?? visit.writtenSeen
      }
      if (arrived.length > 0) this.#onArrived(arrived)
    } catch (error) {
      for (const visit of batch) this.#due.add(visit)
      throw error
    }
  }
}

function seenAt(visit: Visit): number {
  return visit.open > 0 ? performance.now() : visit.seenAt
}

function sighting(visit: Visit): Sighting {
  const now = performance.now()
  const { user_id, device_id, active } = visit
  return { user_id, device_id, seen_ago: now - seenAt(visit), asked_ago: now - visit.askedAt, active }
}
