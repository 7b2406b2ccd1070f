/** A broken promise, with enough around it to look for the cause. */
export type Violation = {
  promise: 'P1' | 'P2' | 'P3' | 'P4' | 'P5' | 'P6' | 'P7'
  what: string
  detail: string
}

/** One broken promise shows in thousands of places; so many are told of each kind. */
const MAX_OF_A_KIND = 20

/** Collects violations of one part of the checker, not without bound. */
export class Findings {
  readonly violations: Violation[] = []
  readonly #counts = new Map<string, number>()

  add(promise: Violation['promise'], what: string, detail: object): void {
    const count = (this.#counts.get(what) ?? 0) + 1
    this.#counts.set(what, count)
    if (count <= MAX_OF_A_KIND) this.violations.push({ promise, what, detail: JSON.stringify(detail) })
  }
}
