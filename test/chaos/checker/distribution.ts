import { Column } from '../history/column.ts'

/** What of many durations is worth telling; ms. NaN where there are none. */
export type Summary = { count: number; p50: number; p99: number; max: number }

/** Many durations. */
export class Distribution {
  readonly #column = Column.ofTimes()

  add(ms: number): void {
    this.#column.push(ms)
  }

  summary(): Summary {
    const { length } = this.#column
    const sorted = Float64Array.from({ length }, (_, index) => this.#column.at(index)).sort()
    const at = (part: number) => sorted[Math.min(length - 1, Math.floor(length * part))] ?? Number.NaN
    return { count: length, p50: at(0.5), p99: at(0.99), max: sorted[length - 1] ?? Number.NaN }
  }
}
