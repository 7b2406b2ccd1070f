import type { Candidate } from '../store/pushes.ts'

/** An event after the first of its entry. */
type LaterEvent = { seq: number; inbox_id: number; at: number }

/** Events of one conversation, or an announcement, that somebody may have to be woken for; ms, monotonic. */
export type Waiting = Candidate & {
  /** When the first was committed. */
  since: number
  /** Each gets its own time where those before it were received. */
  later: LaterEvent[]
  dueAt: number
}

/** Who waits to be judged, one entry per person and conversation. */
export class WaitingRoom {
  readonly #entries = new Map<string, Waiting>()
  /** Keys of entries of people who were there when they were judged, by person. */
  readonly #postponed = new Map<string, Set<string>>()
  readonly #graceMs: number
  #size = 0

  constructor(graceMs: number) {
    this.#graceMs = graceMs
  }

  /** How many events wait. */
  get size(): number {
    return this.#size
  }

  /** How many people were there when they were judged. */
  get peopleThere(): number {
    return this.#postponed.size
  }

  /** One more event, committed `at`. */
  add(candidate: Candidate, at: number): void {
    const known = this.#entries.get(keyOf(candidate))
    const { seq, inbox_id } = candidate
    if (!known) this.#put({ ...candidate, since: at, later: [], dueAt: at + this.#graceMs })
    else if (seq > newestOf(known).seq) {
      known.later.push({ seq, inbox_id, at })
      this.#size += 1
    }
  }

  /** Takes out those whose time has come, at most `limit`. */
  takeDue(limit: number): Waiting[] {
    const now = performance.now()
    const due: Waiting[] = []
    if (limit === 0) return due
    for (const [key, entry] of this.#entries) {
      if (entry.dueAt > now) continue
      due.push(entry)
      this.#remove(key, entry)
      if (due.length === limit) break
    }
    return due
  }

  /** Back again, with what came meanwhile. */
  putBack(entry: Waiting, dueAt: number): void {
    const key = keyOf(entry)
    const newer = this.#entries.get(key)
    if (newer) this.#remove(key, newer)
    const meanwhile = newer ? eventsOf(newer).filter(({ seq }) => seq > newestOf(entry).seq) : []
    this.#put({ ...entry, later: [...entry.later, ...meanwhile], dueAt })
  }

  /** Back again, as the person is there: looked at once more then, or as soon as they are known to be away. */
  postpone(entry: Waiting, dueAt: number): void {
    this.putBack(entry, dueAt)
    const keys = this.#postponed.get(entry.user_id)
    if (keys) keys.add(keyOf(entry))
    else this.#postponed.set(entry.user_id, new Set([keyOf(entry)]))
  }

  /** The person is away: what was postponed is due, and goes ahead of what came later. False if there is nothing of that. */
  hasten(userId: string): boolean {
    const keys = this.#postponed.get(userId)
    for (const key of keys ?? []) {
      const entry = this.#entries.get(key)
      if (entry) entry.dueAt = 0
    }
    return this.#postponed.delete(userId)
  }

  /** The first was received: only what came after it is still to be judged, in its own time. */
  passOver(entry: Waiting): void {
    const [next, ...later] = entry.later
    if (!next) return
    const { seq, inbox_id, at: since } = next
    this.putBack({ ...entry, from_seq: seq, seq, inbox_id, since, later }, since + this.#graceMs)
  }

  /** When the oldest event was committed that is not judged. */
  get oldest(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { since } of this.#entries.values()) if (since < oldest) oldest = since
    return oldest
  }

  #put(entry: Waiting): void {
    this.#entries.set(keyOf(entry), entry)
    this.#size += 1 + entry.later.length
  }

  #remove(key: string, entry: Waiting): void {
    this.#entries.delete(key)
    this.#size -= 1 + entry.later.length
    const keys = this.#postponed.get(entry.user_id)
    if (keys?.delete(key) && keys.size === 0) this.#postponed.delete(entry.user_id)
  }
}

/** The newest event of an entry. */
export function newestOf(entry: Waiting): { seq: number; inbox_id: number } {
  return entry.later.at(-1) ?? entry
}

function eventsOf({ seq, inbox_id, since: at, later }: Waiting): LaterEvent[] {
  return [{ seq, inbox_id, at }, ...later]
}

/** Of what somebody may be woken for. */
export function keyOf({ user_id, about }: Pick<Candidate, 'user_id' | 'about'>): string {
  return `${user_id}\0${about}`
}
