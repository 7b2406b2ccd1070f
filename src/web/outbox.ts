import type { Message } from '../protocol/types.ts'
import { ApiError, newKey, post } from './api.ts'
import { backoff } from './backoff.ts'
import { OutboxStorage, type Pending } from './outbox-storage.ts'

type Handlers = {
  changed(): void
  /** An answer came; at the same moment its pending message is gone. */
  committed(message: Message): void
}

/** Messages on their way: one in flight per conversation, each repeated with its own key until it is answered. */
export class Outbox {
  readonly #storage: OutboxStorage
  readonly #handlers: Handlers
  readonly #items = new Map<string, Pending>()
  readonly #draining = new Set<string>()
  readonly #sleepers = new Set<() => void>()
  #lastOrder = 0

  constructor(user: string, handlers: Handlers) {
    this.#storage = new OutboxStorage(user)
    this.#handlers = handlers
  }

  get size(): number {
    return this.#items.size
  }

  /** Goes on with what was left when the page was last open. */
  start(): void {
    for (const item of this.#storage.load()) {
      this.#items.set(item.client_id, item)
      this.#lastOrder = Math.max(this.#lastOrder, item.order)
    }
    for (const item of this.#items.values()) void this.#drain(item.conversation_id)
  }

  of(conversation_id: string): Pending[] {
    return [...this.#items.values()].filter((item) => item.conversation_id === conversation_id)
  }

  add(conversation_id: string, text: string, reply_to?: number): void {
    this.#lastOrder = Math.max(Date.now(), this.#lastOrder + 1)
    this.#put({ client_id: newKey(), conversation_id, text, reply_to, order: this.#lastOrder })
  }

  /** Tries a failed one again, with the same key. */
  retry(client_id: string): void {
    const item = this.#items.get(client_id)
    if (item) this.#put({ ...item, failed: undefined })
  }

  /** It is committed, or not wanted any more. */
  drop(client_id: string): void {
    if (!this.#items.delete(client_id)) return
    this.#storage.remove(client_id)
    this.#handlers.changed()
    this.hurry()
  }

  clear(): void {
    for (const client_id of [...this.#items.keys()]) this.drop(client_id)
  }

  /** The network is back, or there is news: whoever waits only for better times tries now. */
  hurry(): void {
    for (const wake of this.#sleepers) wake()
  }

  #put(item: Pending): void {
    this.#items.set(item.client_id, item)
    this.#storage.save(item)
    this.#handlers.changed()
    void this.#drain(item.conversation_id)
  }

  async #drain(conversation_id: string): Promise<void> {
    if (this.#draining.has(conversation_id)) return
    this.#draining.add(conversation_id)
    const next = () => this.of(conversation_id).find((item) => item.failed === undefined)
    for (let item = next(); item; item = next()) await this.#send(item)
    this.#draining.delete(conversation_id)
  }

  async #send({ client_id, conversation_id, text, reply_to }: Pending): Promise<void> {
    const path = `/v1/conversations/${conversation_id}/messages`
    for (let failures = 0; this.#items.has(client_id); failures += 1) {
      try {
        const message = await post<Message>(path, { text, reply_to }, client_id)
        this.drop(client_id)
        this.#handlers.committed(message)
      } catch (error) {
        await this.#endure(error, client_id, failures)
        if (this.#items.get(client_id)?.failed !== undefined) return
      }
    }
  }

  async #endure(error: unknown, client_id: string, failures: number): Promise<void> {
    if (!(error instanceof ApiError)) throw error
    const item = this.#items.get(client_id)
    if (!item) return
    if (error.isTransient || error.status === 401) await this.#sleep(backoff(failures), error.retryAfter)
    else {
      const failed = { ...item, failed: error.message }
      this.#items.set(client_id, failed)
      this.#storage.save(failed)
      this.#handlers.changed()
    }
  }

  /** What the server asked for (`atLeast`) is waited for whole; anything else may be cut short by `hurry`. */
  #sleep(ms: number, atLeast: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#sleepers.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, atLeast === undefined ? ms : atLeast + Math.random() * 500)
      if (atLeast === undefined) this.#sleepers.add(wake)
    })
  }
}
