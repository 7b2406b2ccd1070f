import type { Wire } from '../relay-box.ts'

const MEAN_BYTES = 8_000

/** A network that resets connections anywhere: after 8 KB on average, both directions counted, often within a frame. */
export const cutter: Wire = () => (ends) => {
  let left = Math.ceil(-Math.log(1 - Math.random()) * MEAN_BYTES)
  return (direction, chunk) => {
    if (chunk === null || chunk.length < left) {
      left -= chunk?.length ?? 0
      ends.pass(direction, chunk)
      return
    }
    ends.pass(direction, chunk.subarray(0, left))
    left = 0
    // The last bytes first: what is written is flushed before the next turn.
    setImmediate(() => ends.reset())
  }
}
