import { MAX_WATCHED_MEMBERS, RECEIPT_EVERY_MS } from '../protocol/constants.ts'
import { encodePassing, type Passing } from '../protocol/passing.ts'

/** A read mark that has moved, and the other members. */
type ReadMark = { conversation_id: string; user_id: string; seq: number; recipients: readonly string[] }

/** Tells the other members of a conversation how far one has read: at once, then the newest once a second. */
export class Receipts implements Disposable {
  readonly #pass: (passing: Passing) => void
  readonly #now: () => number
  /** Told of less than a second ago, with a newer mark if there is one. */
  readonly #recent = new Map<string, { timer: NodeJS.Timeout; newer: ReadMark | undefined }>()

  constructor(pass: (passing: Passing) => void, now: () => number) {
    this.#pass = pass
    this.#now = now
  }

  /** A read mark has moved. */
  moved(mark: ReadMark): void {
    const key = `${mark.conversation_id} ${mark.user_id}`
    const recent = this.#recent.get(key)
    if (!recent) this.#tell(key, mark)
    else if (!recent.newer || recent.newer.seq < mark.seq) recent.newer = mark
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#recent.values()) clearTimeout(timer)
    this.#recent.clear()
  }

  #tell(key: string, mark: ReadMark): void {
    const next = () => {
      const newer = this.#recent.get(key)?.newer
      this.#recent.delete(key)
      if (newer) this.#tell(key, newer)
    }
    this.#recent.set(key, { timer: setTimeout(next, RECEIPT_EVERY_MS).unref(), newer: undefined })
    const { recipients, ...fields } = mark
    if (recipients.length >= MAX_WATCHED_MEMBERS) return
    const at = new Date(this.#now()).toISOString()
    this.#pass({ recipients, event: encodePassing({ type: 'receipt.read', at, ...fields }) })
  }
}
