import type { LogEvent } from '../protocol/event.ts'

export type Listener = (event: LogEvent) => void

/** A subscription in force; disposing of it ends it. */
export type Subscription = Disposable

/**
 * Carries hints of committed events to the nodes that serve an inbox. It may lose, repeat or reorder them: the log
 * decides, a hint only saves the reading.
 */
export interface Bus {
  publish(userId: string, event: LogEvent): void
  /** Resolves when the subscription is in force: what is published from then on reaches `listener`. */
  subscribe(userId: string, listener: Listener): Promise<Subscription>
}
