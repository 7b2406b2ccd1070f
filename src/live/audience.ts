/** How long members are remembered: someone removed hears what passes for no longer than this, below the 5 s of P6. */
const REMEMBER_MS = 3_000
const MAX_REMEMBERED = 10_000

/** A member, and who of the others hears nothing of them. */
type Member = { user_id: string; blocked_by: readonly string[] }
type Read = (conversation: string) => Promise<readonly Member[]>
type Remembered = { at: number; members: ReturnType<Read> }

/** Who hears what passes in a conversation: its members, asked for at most once in three seconds. */
export class Audience {
  readonly #read: Read
  readonly #remembered = new Map<string, Remembered>()

  constructor(read: Read) {
    this.#read = read
  }

  /** The other members who may hear of `user`; `undefined` if `user` is none. Rejects when they cannot be read. */
  async others(conversation: string, user: string): Promise<string[] | undefined> {
    const now = performance.now()
    const remembered = this.#remembered.get(conversation)
    const isFresh = remembered !== undefined && now - remembered.at < REMEMBER_MS
    const members = await (isFresh ? remembered.members : this.#ask(conversation, now))
    // Somebody who joined just now is not remembered yet.
    return (
      hearersOf(user, members) ?? (isFresh ? hearersOf(user, await this.#ask(conversation, now)) : undefined)
    )
  }

  #ask(conversation: string, at: number): ReturnType<Read> {
    const members = this.#read(conversation)
    // In the order of asking, so that the oldest come first.
    this.#remembered.delete(conversation)
    this.#remembered.set(conversation, { at, members })
    members.catch(() => this.#remembered.delete(conversation))
    for (const [each, { at: askedAt }] of this.#remembered) {
      if (at - askedAt < REMEMBER_MS && this.#remembered.size <= MAX_REMEMBERED) break
      this.#remembered.delete(each)
    }
    return members
  }
}

function hearersOf(user: string, members: readonly Member[]): string[] | undefined {
  const own = members.find(({ user_id }) => user_id === user)
  const isHearer = ({ user_id }: Member) => user_id !== user && !own?.blocked_by.includes(user_id)
  return own && members.filter(isHearer).map(({ user_id }) => user_id)
}
