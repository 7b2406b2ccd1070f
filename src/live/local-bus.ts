import type { LogEvent } from '../protocol/event.ts'
import type { Bus, Listener, Subscription } from './bus.ts'

/** The bus of a node that is alone: this process. */
export class LocalBus implements Bus {
  readonly #listeners = new Map<string, Listener>()

  publish(userId: string, event: LogEvent): void {
    this.#listeners.get(userId)?.(event)
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
}
