import { MAX_ANSWER_BYTES, SLICE_LINGER_MS, SLICE_MAX_MS } from '../protocol/constants.ts'

/** What passes takes no more than this of a slice: the rest of its 48 KB is the log's. */
const MAX_PASSING_BYTES = 8 * 1024

/** How much still goes into a stream that the server ends soon, and when that is. */
export class Slice implements Disposable {
  readonly #onOver: () => void
  #left: number
  #bytes = 0
  #passedBytes = 0
  #timer: NodeJS.Timeout

  /** `limit` log events; `onOver` is called when its time is over. */
  constructor(limit: number, onOver: () => void) {
    this.#left = limit
    this.#onOver = onOver
    this.#timer = setTimeout(onOver, SLICE_MAX_MS)
  }

  /** Takes a log event's frame if there is room for it, and says whether there is any for another. */
  take(frame: string): { fits: boolean; isFull: boolean } {
    const isFirst = this.#bytes === 0
    this.#bytes += Buffer.byteLength(frame)
    this.#left -= 1
    if (isFirst) {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(this.#onOver, SLICE_LINGER_MS)
    }
    const fits = isFirst || this.#bytes + this.#passedBytes <= MAX_ANSWER_BYTES
    return { fits, isFull: !fits || this.#left === 0 }
  }

  /** The same for what passes, which counts for nothing else. */
  takePassing(frame: string): boolean {
    const bytes = Buffer.byteLength(frame)
    if (this.#passedBytes + bytes > MAX_PASSING_BYTES || this.#bytes + bytes > MAX_ANSWER_BYTES) return false
    this.#passedBytes += bytes
    return true
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
