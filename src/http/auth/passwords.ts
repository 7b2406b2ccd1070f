import { hash, verify } from '@node-rs/argon2'
import { unavailable } from '../../protocol/problems.ts'

/** Hashes and checks passwords: argon2id with the library's defaults, which follow OWASP's (19 MiB, 2 passes). */
export class Passwords {
  /** Each takes 19 MiB and a thread for tens of milliseconds: a storm of sign-ins must not starve the rest. */
  readonly #maxWaiting = 200
  #waiting = 0
  /** Checked when there is no such user, so that the answer takes as long. */
  #decoy: Promise<string> | undefined

  hash(password: string): Promise<string> {
    return this.#bounded(() => hash(password))
  }

  async matches(stored: string | null | undefined, password: string): Promise<boolean> {
    return this.#bounded(async () => {
      this.#decoy ??= hash('nobody has this password')
      const matches = await verify(stored ?? (await this.#decoy), password)
      return matches && typeof stored === 'string'
    })
  }

  async #bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#maxWaiting)
      throw unavailable('Too many sign-ins at once. Try again in a moment.')
    this.#waiting += 1
    try {
      return await work()
    } finally {
      this.#waiting -= 1
    }
  }
}
