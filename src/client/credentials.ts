/** One that hangs is asked again after this. */
const TOKEN_MS = 15_000

export type GetToken = (options?: { refresh?: boolean }) => string | Promise<string>

/** An access token, asked for once however many need it, and renewed once when it was refused. */
export class Credentials {
  readonly #getToken: GetToken | undefined
  readonly #onRefused: () => void
  #token: Promise<string> | undefined
  /** How many tokens were dropped. */
  refusals = 0
  #isRefused = false

  /** Without `getToken` the caller is known by its cookie. */
  constructor(getToken: GetToken | undefined, onRefused: () => void = () => {}) {
    this.#getToken = getToken
    this.#onRefused = onRefused
  }

  get isCookie(): boolean {
    return this.#getToken === undefined
  }

  /** The token; nothing with a cookie. Rejects as `getToken` does, and then asks it anew the next time. */
  async token(): Promise<string | undefined> {
    if (!this.#getToken) return undefined
    if (!this.#token) {
      const ask = async (getToken: GetToken) => getToken({ refresh: this.#isRefused })
      const asking = ask(this.#getToken)
      const asked = new Promise<string>((resolve, reject) => {
        const timer = setTimeout(reject, TOKEN_MS, new Error('no answer in time'))
        // A Node process that is done does not wait for it; browsers have numbers here.
        ;(timer as { unref?(): void }).unref?.()
        asking.then(resolve, reject).finally(() => clearTimeout(timer))
      })
      this.#token = asked
      asked.then(
        () => {
          this.#isRefused = false
        },
        () => this.#forget(asked),
      )
    }
    return this.#token
  }

  /** This token was refused: the next caller gets another, unless one has come meanwhile. */
  async refuse(token: string | undefined): Promise<void> {
    if (this.isCookie) this.#onRefused()
    const current = this.#token
    if (!current || (token !== undefined && (await current.catch(() => token)) !== token)) return
    if (this.#token !== current) return
    this.#isRefused = true
    this.refusals += 1
    this.#token = undefined
  }

  #forget(asked: Promise<string>): void {
    if (this.#token === asked) this.#token = undefined
  }
}
