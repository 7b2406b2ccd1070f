import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import { Problem } from '../protocol/problems.ts'

/** Points per duration in seconds, per key. */
const RULES = {
  /** New accounts, per address: a school behind one address may have hundreds of first days at once. */
  sign_up: { points: 600, duration: 600 },
  /** Failed sign-ins, per user name and address. */
  failed_sign_in: { points: 20, duration: 600 },
  /** Messages (each recipient of a multicast counts), per user. */
  send: { points: 3_000, duration: 60 },
  /** Words that somebody types, per user: a client sends one in three seconds. */
  typing: { points: 120, duration: 60 },
  /** Searches, per user: somebody who types and looks at the results. */
  search: { points: 300, duration: 60 },
  /** Everything else that changes something, per user. */
  write: { points: 1_200, duration: 60 },
} as const

export type LimitName = keyof typeof RULES

/** Rate limits of this node; `RATE_LIMITS=off` leaves them out. */
export class Limits {
  readonly #limiters: Record<LimitName, RateLimiterMemory> | undefined

  constructor(enabled: boolean) {
    const make = (name: LimitName) => new RateLimiterMemory({ keyPrefix: name, ...RULES[name] })
    this.#limiters = enabled
      ? {
          sign_up: make('sign_up'),
          failed_sign_in: make('failed_sign_in'),
          send: make('send'),
          typing: make('typing'),
          search: make('search'),
          write: make('write'),
        }
      : undefined
  }

  /** Takes `points`. Throws Problem rate_limited with what is left to wait. */
  async take(name: LimitName, key: string, points = 1): Promise<void> {
    try {
      await this.#limiters?.[name].consume(key, points)
    } catch (refused) {
      throw tooMany(refused as RateLimiterRes)
    }
  }

  /** Throws Problem rate_limited if nothing is left, without taking. */
  async check(name: LimitName, key: string): Promise<void> {
    const state = await this.#limiters?.[name].get(key)
    if (state && state.consumedPoints >= RULES[name].points) throw tooMany(state)
  }
}

function tooMany({ msBeforeNext }: RateLimiterRes): Problem {
  const retryAfter = Math.max(1, Math.ceil(msBeforeNext / 1_000))
  return new Problem('rate_limited', `Wait ${retryAfter} s, then go on more slowly.`, { retryAfter })
}
