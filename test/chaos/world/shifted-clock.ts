/** Makes this process believe that it is `ms` later than it is. Before anything else is imported. */
export function shiftClock(ms: number): void {
  if (ms === 0) return
  const TrueDate = Date
  const ShiftedDate = class extends TrueDate {
    constructor(...given: []) {
      if (given.length === 0) super(TrueDate.now() + ms)
      else super(...given)
    }
    static override now(): number {
      return TrueDate.now() + ms
    }
  }
  globalThis.Date = ShiftedDate as DateConstructor
}
