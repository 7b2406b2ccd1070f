/** How long members are remembered: someone removed hears what passes for no longer than this, below the 5 s of P6. */
const REMEMBER_MS = 3_000
const MAX_REMEMBERED = 10_000

type Remembered = { at: number; members: Promise<readonly string[]> }

/** Who hears what passes in a conversation: its members, asked for at most once in three seconds. */
export class Audience {
  readonly #read: (conversation: string) => Promise<readonly string[]>
  readonly #remembered = new Map<string, Remembered>()

  constructor(read: (conversation: string) => Promise<readonly string[]>) {
    this.#read = read
  }

  /** The other members; `undefined` if `user` is none. Rejects when they cannot be read. */
  async others(conversation: string, user: string): Promise<string[] | undefined> {
    const now = performance.now()
    const remembered = this.#remembered.get(conversation)
    const isFresh = remembered !== undefined && now - remembered.at < REMEMBER_MS
    const members = await (isFresh ? remembered.members : this.#ask(conversation, now))
    if (members.includes(user)) return members.filter((member) => member !== user)
    // Somebody who joined just now is not remembered yet.
    const asked = isFresh ? await this.#ask(conversation, now) : members
    return asked.includes(user) ? asked.filter((member) => member !== user) : undefined
  }

  #ask(conversation: string, at: number): Promise<readonly string[]> {
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
