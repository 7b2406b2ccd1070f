import type { User } from '../protocol/types.ts'
import { get } from './api.ts'
import type { Known } from './conversation-events.ts'
import { insist } from './insist.ts'

const MAX_IDS = 100

/** Who people are, asked for once when it is first needed. */
export class People {
  /** Nobody yet for whom was asked. */
  readonly #users = new Map<string, User | undefined>()
  readonly #wanted = new Set<string>()
  readonly #changed: () => void

  constructor(me: User, changed: () => void) {
    this.#changed = changed
    this.learn([me])
  }

  learn(users: User[]): void {
    for (const user of users) this.#users.set(user.id, user)
  }

  /** Asks, if this was never asked. */
  userOf(id: string): User | undefined {
    if (!this.#users.has(id)) {
      this.#users.set(id, undefined)
      this.#wanted.add(id)
      if (this.#wanted.size === 1) queueMicrotask(() => void this.#ask())
    }
    return this.#users.get(id)
  }

  nameOf(id: string): string {
    return this.userOf(id)?.display_name ?? '…'
  }

  titleOf({ kind, title, peer }: Known): string {
    if (kind === 'group') return title ?? 'Group'
    return peer ? this.nameOf(peer.id) : 'Someone'
  }

  async #ask(): Promise<void> {
    const ids = [...this.#wanted]
    this.#wanted.clear()
    while (ids.length > 0) {
      const some = ids.slice(0, MAX_IDS)
      const path = `/v1/users?ids=${some.map(encodeURIComponent).join(',')}`
      const { users, has_more } = await insist(() => get<{ users: User[]; has_more: boolean }>(path))
      this.learn(users)
      // An answer ends early where profiles are large; whoever is not in a whole one is nobody.
      const isPart = has_more && users.length > 0
      ids.splice(0, some.length, ...(isPart ? some.filter((id) => !this.#users.get(id)) : []))
    }
    this.#changed()
  }
}
