import type { Candidate } from '../store/pushes.ts'

/** Events of one conversation, or an announcement, that somebody may have to be woken for; ms, monotonic. */
export type Waiting = Candidate & {
  /** When the first was committed. */
  since: number
  /** When the newest was, so that it gets its own time where the first was received. */
  newestAt: number
  newestSeq: number
  newestId: number
  dueAt: number
}

/** Who waits to be judged, one entry per person and conversation. */
export class WaitingRoom {
  readonly #entries = new Map<string, Waiting>()
  readonly #graceMs: number

  constructor(graceMs: number) {
    this.#graceMs = graceMs
  }

  get size(): number {
    return this.#entries.size
  }

  /** One more event, committed `at`. */
  add(candidate: Candidate, at: number): void {
    const key = keyOf(candidate)
    const known = this.#entries.get(key)
    if (!known) {
      const { seq: newestSeq, inbox_id: newestId } = candidate
      const dueAt = at + this.#graceMs
      this.#entries.set(key, { ...candidate, since: at, newestAt: at, newestSeq, newestId, dueAt })
      return
    }
    if (candidate.seq <= known.newestSeq) return
    Object.assign(known, { newestAt: at, newestSeq: candidate.seq, newestId: candidate.inbox_id })
  }

  /** Takes out those whose time has come, at most `limit`. */
  takeDue(limit: number): Waiting[] {
    const now = performance.now()
    const due: Waiting[] = []
    for (const [key, entry] of this.#entries) {
      if (entry.dueAt > now) continue
      due.push(entry)
      this.#entries.delete(key)
      if (due.length === limit) break
    }
    return due
  }

  /** Back again, with what came meanwhile. */
  putBack(entry: Waiting, dueAt: number): void {
    const key = keyOf(entry)
    const newer = this.#entries.get(key)
    this.#entries.set(key, {
      ...entry,
      ...(newer && { newestAt: newer.newestAt, newestSeq: newer.newestSeq, newestId: newer.newestId }),
      dueAt,
    })
  }

  /** The first was received: only what came after it is still to be judged, in its own time. */
  passOver(entry: Waiting): void {
    if (entry.newestSeq === entry.seq) return
    const { newestSeq: seq, newestId: inbox_id, newestAt: since } = entry
    this.putBack({ ...entry, from_seq: seq, seq, inbox_id, since }, since + this.#graceMs)
  }

  /** When the oldest event was committed that is not judged. */
  get oldest(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { since } of this.#entries.values()) if (since < oldest) oldest = since
    return oldest
  }
}

function keyOf({ user_id, about }: Candidate): string {
  return `${user_id}\0${about}`
}
