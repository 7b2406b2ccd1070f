/** A growing list of numbers, a few bytes each: a campaign records millions. */
export class Column {
  #values: Float64Array | Int32Array
  length = 0

  private constructor(values: Float64Array | Int32Array) {
    this.#values = values
  }

  static ofIntegers(): Column {
    return new Column(new Int32Array(256))
  }

  static ofTimes(): Column {
    return new Column(new Float64Array(256))
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const Longer = this.#values.constructor as Float64ArrayConstructor
      const longer = new Longer(this.length * 2)
      longer.set(this.#values)
      this.#values = longer
    }
    this.#values[this.length] = value
    this.length += 1
  }

  at(index: number): number {
    return this.#values[index] ?? Number.NaN
  }
}
