import { performance } from 'node:perf_hooks'

/** How much of its time this thread is at work, from which on it has its hands full with those who send. */
const HIGH = 0.6
const OVER_MS = 300

/** Whether there is more to do here than pushes: they can wait a little, and come in small pieces then. */
export class Load {
  #since = performance.eventLoopUtilization()
  #lookedAt = performance.now()
  #isHigh = false

  /** As it was a moment ago. */
  get isHigh(): boolean {
    const now = performance.now()
    if (now - this.#lookedAt < OVER_MS) return this.#isHigh
    const total = performance.eventLoopUtilization()
    this.#isHigh = performance.eventLoopUtilization(total, this.#since).utilization > HIGH
    this.#since = total
    this.#lookedAt = now
    return this.#isHigh
  }
}
