/** So many at once are worth a query. */
const MIN_AT_ONCE = 16
/** What was not used for so long is lost. */
const SAVED_MS = 500

/** How many may begin now, at a rate that changes: what it allows adds up until it is used, but not for long. */
export class Allowance {
  readonly #perSecond: () => number
  #at = performance.now()
  #room = 0

  constructor(perSecond: () => number) {
    this.#perSecond = perSecond
  }

  /** 0 until there is room for some. */
  room(): number {
    const passed = performance.now() - this.#at
    this.#at += passed
    const perMs = this.#perSecond() / 1_000
    this.#room = Math.min(this.#room + passed * perMs, Math.max(SAVED_MS * perMs, MIN_AT_ONCE))
    return this.#room < MIN_AT_ONCE ? 0 : Math.floor(this.#room)
  }

  /** So many have begun. */
  spend(count: number): void {
    this.#room -= count
  }
}
