import { type Cursor, formatCursor, parseCursor } from '../protocol/cursor.ts'

/** Where one reader of an inbox stands: lets every event through once, in order, whatever brings it and how often. */
export class Reading {
  #at: Cursor | undefined
  /** What to ask with: a cursor, '0' for the oldest event kept, or nothing for where this device was. */
  #asked: string | undefined

  constructor(after?: string) {
    // What a storage of texts gives for nothing.
    this.begin(after || undefined)
  }

  /** Goes on behind `after`, forgetting where it was. */
  begin(after?: string): void {
    this.#at = after === undefined ? undefined : parseCursor(after)
    this.#asked = after
  }

  get cursor(): string | undefined {
    return this.#at ? formatCursor(this.#at) : this.#asked
  }

  /** Whether a place in the inbox is known, from which anything may read on. */
  get isPlaced(): boolean {
    return this.#at !== undefined
  }

  /** The id up to which all has been let through; 0 while none is known. */
  get id(): number {
    return this.#at?.id ?? 0
  }

  /** Takes the place from an answer that was asked for without one. */
  place(cursor: string): void {
    if (!this.#at) this.begin(cursor)
  }

  /** Whether the event with this cursor is the next one, was there before, or comes too early. */
  take(cursor: Cursor): 'next' | 'seen' | 'gap' {
    if (!this.#at) return 'gap'
    if (cursor.epoch !== this.#at.epoch) return 'gap'
    if (cursor.id <= this.#at.id) return 'seen'
    if (cursor.id > this.#at.id + 1) return 'gap'
    this.#at = cursor
    return 'next'
  }
}
