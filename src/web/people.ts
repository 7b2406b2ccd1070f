import type { Conversation, User } from '../protocol/types.ts'
import { get } from './api.ts'
import { insist } from './backoff.ts'

const MAX_IDS = 100

/** Names of people, asked for once when they are first needed. */
export class People {
  readonly #names = new Map<string, string>()
  readonly #wanted = new Set<string>()
  readonly #changed: () => void

  constructor(me: User, changed: () => void) {
    this.#changed = changed
    this.learn([me])
  }

  learn(users: User[]): void {
    for (const { id, display_name } of users) this.#names.set(id, display_name)
  }

  nameOf(id: string): string {
    const name = this.#names.get(id)
    if (name !== undefined) return name
    this.#names.set(id, '…')
    this.#wanted.add(id)
    if (this.#wanted.size === 1) queueMicrotask(() => void this.#ask())
    return '…'
  }

  titleOf({ kind, title, peer }: Conversation): string {
    return kind === 'direct' ? (peer?.display_name ?? 'Someone') : (title ?? 'Group')
  }

  async #ask(): Promise<void> {
    const ids = [...this.#wanted]
    this.#wanted.clear()
    for (let from = 0; from < ids.length; from += MAX_IDS) {
      const some = ids.slice(from, from + MAX_IDS).map(encodeURIComponent)
      const { users } = await insist(() => get<{ users: User[] }>(`/v1/users?ids=${some.join(',')}`))
      this.learn(users)
    }
    this.#changed()
  }
}
