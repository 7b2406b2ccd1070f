/** Handed in. */
type SubscriberStore = {
  /** Those of them who want to be woken, and everybody who said so in the last `recentMs`. */
  subscribed(userIds: readonly string[], recentMs: number): Promise<Set<string>>
}

/** A subscription bears the time when its transaction began: longer than that takes. */
const SLACK_MS = 6_000
/** What is remembered is so old at most: somebody whose subscribing took longer is found then. */
const TRUST_MS = 60_000
const MAX_KNOWN = 200_000

/**
 * Who wants to be woken. Most people never do, and to ask of each at each message is a good part of what the message itself
 * costs Postgres: who did not is remembered, and at each look only those are asked for who began since.
 */
export class Subscribers {
  readonly #store: SubscriberStore
  readonly #others = new Set<string>()
  #clearedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(store: SubscriberStore) {
    this.#store = store
  }

  /** Those of these people who want to be woken. */
  async among(userIds: ReadonlySet<string>): Promise<Set<string>> {
    const now = performance.now()
    if (now - this.#clearedAt >= TRUST_MS || this.#others.size > MAX_KNOWN) {
      this.#others.clear()
      this.#clearedAt = now
      this.#askedAt = now
    }
    const unknown = [...userIds].filter((id) => !this.#others.has(id))
    const found = await this.#store.subscribed(unknown, now - this.#askedAt + SLACK_MS)
    this.#askedAt = now
    for (const id of unknown) this.#others.add(id)
    for (const id of found) this.#others.delete(id)
    return new Set([...found].filter((id) => userIds.has(id)))
  }
}
