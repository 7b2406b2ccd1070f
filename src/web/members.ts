import type { Member } from '../protocol/types.ts'
import { ApiError, get } from './api.ts'
import { insist } from './insist.ts'

/** Who is in which conversation, asked for when it is first needed and again when it has changed. */
export class Members {
  readonly #known = new Map<string, Member[]>()
  /** Conversations of which the list, also one that is just being asked for, may be too old. */
  readonly #stale = new Set<string>()
  readonly #asking = new Set<string>()
  readonly #changed: () => void

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** As last known; none until the first answer. */
  of(conversation: string): Member[] {
    const known = this.#known.get(conversation)
    if (!known || this.#stale.has(conversation)) void this.#ask(conversation)
    return known ?? []
  }

  /** Somebody came, went or changed role. */
  outdate(conversation: string): void {
    this.#stale.add(conversation)
  }

  outdateAll(): void {
    for (const conversation of this.#known.keys()) this.#stale.add(conversation)
  }

  async #ask(conversation: string): Promise<void> {
    if (this.#asking.has(conversation)) return
    this.#asking.add(conversation)
    this.#stale.delete(conversation)
    try {
      const path = `/v1/conversations/${conversation}/members`
      const { members } = await insist(() => get<{ members: Member[] }>(path))
      this.#known.set(conversation, members)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // Not mine any more.
      this.#known.set(conversation, [])
    } finally {
      this.#asking.delete(conversation)
    }
    this.#changed()
  }
}
