/** A message that the server has not yet answered for. Its `client_id` is its Idempotency-Key, for ever. */
export type Pending = {
  readonly client_id: string
  readonly conversation_id: string
  readonly text: string
  /** The `seq` of the message it answers. */
  readonly reply_to?: number | undefined
  /** Milliseconds since 1970, and a little more where two would be equal: the order in which they were written. */
  readonly order: number
  /** Why the server will not have it, in words for a person. */
  failed?: string | undefined
}

/** One user's unsent messages in `localStorage`, an entry each, so that two tabs never overwrite each other's. */
export class OutboxStorage {
  readonly #prefix: string

  constructor(user: string) {
    this.#prefix = `longwave.outbox.${user}.`
  }

  load(): Pending[] {
    return attempt(() => {
      const names = Object.keys(localStorage).filter((name) => name.startsWith(this.#prefix))
      const items = names.map((name) => JSON.parse(localStorage.getItem(name) ?? 'null') as Pending)
      return items.sort((a, b) => a.order - b.order)
    }, [])
  }

  save(item: Pending): void {
    attempt(() => localStorage.setItem(this.#prefix + item.client_id, JSON.stringify(item)), undefined)
  }

  remove(client_id: string): void {
    attempt(() => localStorage.removeItem(this.#prefix + client_id), undefined)
  }
}

/** Storage may be full or forbidden; what is unsent is then kept only as long as the page is open. */
function attempt<T>(act: () => T, otherwise: T): T {
  try {
    return act()
  } catch {
    return otherwise
  }
}
