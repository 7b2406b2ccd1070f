import type { Wire } from '../relay-box.ts'

/** A translation table that forgets a flow after so long without a byte, and then drops what comes, telling nobody. */
export const forgetful =
  (idleMs: number): Wire =>
  () =>
  (ends) => {
    let last = performance.now()
    let isForgotten = false
    return (direction, chunk) => {
      const now = performance.now()
      isForgotten ||= now - last > idleMs
      last = now
      if (!isForgotten) ends.pass(direction, chunk)
    }
  }

/** 30 s, the shortest that is about. */
export const nat = forgetful(30_000)
