import type { PresenceState } from '../protocol/types.ts'
import { get } from './api.ts'

const MAX_IDS = 100

/** Who is there: asked for when somebody is first shown, then told. */
export class Presences {
  readonly #changed: () => void
  readonly #states = new Map<string, PresenceState>()
  /** All that were ever asked for, and those still to be. */
  readonly #wanted = new Set<string>()
  #next: string[] = []
  #isLive = false

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** How somebody is, as far as is known. */
  of(userId: string): PresenceState | undefined {
    const state = this.#states.get(userId)
    if (!state && !this.#wanted.has(userId)) {
      this.#wanted.add(userId)
      if (this.#isLive && this.#next.push(userId) === 1)
        queueMicrotask(() => void this.#ask(this.#next.splice(0)))
    }
    return state
  }

  put({ user_id, status, last_active_at }: PresenceState): void {
    this.#states.set(user_id, { user_id, status, last_active_at })
    this.#changed()
  }

  /** The stream has begun: only what is asked for behind that cannot be older than what is missed. */
  refresh(): void {
    this.#isLive = true
    void this.#ask([...new Set([...this.#states.keys(), ...this.#wanted])])
  }

  async #ask(ids: string[]): Promise<void> {
    for (let from = 0; from < ids.length; from += MAX_IDS) {
      const some = ids.slice(from, from + MAX_IDS)
      try {
        const path = `/v1/presence?user_ids=${some.map(encodeURIComponent).join(',')}`
        const { presence } = await get<{ presence: PresenceState[] }>(path)
        for (const state of presence) this.put(state)
      } catch {
        // Off here, or not to be had just now: nobody is shown as there.
      }
    }
  }
}
