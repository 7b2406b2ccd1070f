import type { FaultRecord } from '../history/history.ts'

/** How long what a fault broke may take to find its way back. */
const SETTLE_MS = 5_000

/** When something was broken, or had just been. */
export class FaultWindows {
  /** Apart from each other, ascending. */
  readonly #windows: { from: number; to: number }[] = []

  constructor(faults: readonly FaultRecord[], settleMs = SETTLE_MS) {
    for (const { beganAt, healedAt } of faults.toSorted((a, b) => a.beganAt - b.beganAt)) {
      const to = healedAt + settleMs
      const last = this.#windows.at(-1)
      if (last && beganAt <= last.to) last.to = Math.max(last.to, to)
      else this.#windows.push({ from: beganAt, to })
    }
  }

  /** How much of a span lies within them; ms. */
  overlap(from: number, to: number): number {
    let sum = 0
    for (let index = this.#firstEndingAfter(from); index < this.#windows.length; index += 1) {
      const window = this.#windows[index]
      if (!window || window.from > to) break
      sum += Math.max(0, Math.min(to, window.to) - Math.max(from, window.from))
    }
    return sum
  }

  #firstEndingAfter(time: number): number {
    let [low, high] = [0, this.#windows.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#windows[middle]?.to ?? 0) <= time) low = middle + 1
      else high = middle
    }
    return low
  }
}
