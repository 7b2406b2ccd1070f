/** Gives every name a number, so that millions of records share a few strings. */
export class Names {
  readonly #names: string[] = []
  readonly #numbers = new Map<string, number>()

  number(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = this.#names.push(name) - 1
    this.#numbers.set(name, number)
    return number
  }

  name(number: number): string {
    return this.#names[number] ?? ''
  }
}
