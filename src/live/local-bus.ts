import type { HintsForMany } from '../protocol/event.ts'
import type { Passing } from '../protocol/passing.ts'
import type { Bus, Listener, Subscription } from './bus.ts'

/** The bus of a node that is alone: this process. */
export class LocalBus implements Bus {
  readonly isUp = true
  readonly #listeners = new Map<string, Listener>()

  onChange(): void {}

  announce({ recipients, ids, database_epoch, body }: HintsForMany): void {
    for (const [index, userId] of recipients.entries()) {
      this.#listeners.get(userId)?.hint({ id: ids[index] ?? 0, database_epoch, body })
    }
  }

  pass({ recipients, event }: Passing): void {
    for (const userId of recipients) this.#listeners.get(userId)?.pass(event)
  }

  /** One listener per user: the hub has one channel for all of a user's readers. */
  async subscribe(userId: string, listener: Listener): Promise<Subscription> {
    this.#listeners.set(userId, listener)
    return {
      [Symbol.dispose]: () => {
        if (this.#listeners.get(userId) === listener) this.#listeners.delete(userId)
      },
    }
  }

  broadcast(): void {}

  onBroadcast(): void {}
}
