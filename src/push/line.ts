/** What goes to one device, one after the other. */
export class Line {
  /** Nothing is to be tried before (ms since 1970). */
  heldUntil = 0
  #end: Promise<unknown> = Promise.resolve()

  /** Runs it behind all that came before. */
  next<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#end.then(run)
    this.#end = result.catch(() => {})
    return result
  }
}
