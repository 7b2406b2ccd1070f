import type { Announcement, Hint } from '../protocol/event.ts'
import type { Passing, PassingEvent } from '../protocol/passing.ts'

/** Who listens on one inbox. */
export type Listener = {
  hint(hint: Hint): void
  /** What is in no log. */
  pass(event: PassingEvent): void
}

/** A subscription in force; disposing of it ends it. */
export type Subscription = Disposable

/**
 * Carries hints of committed events to the nodes that serve an inbox. It may lose, repeat or reorder them: the log
 * decides, a hint only saves the reading.
 */
export interface Bus {
  /** Whether hints of other nodes arrive, as far as is known; where not, the log has to be asked more often. */
  readonly isUp: boolean
  /** Calls `listener` whenever `isUp` has changed. */
  onChange(listener: () => void): void
  /** `others`: the nodes there are beside this one, as far as is known. */
  announce(announcement: Announcement, others: number): void
  /** Tells whoever listens just now on the recipients' inboxes, here or elsewhere. */
  pass(passing: Passing, others: number): void
  /** Resolves when the subscription is in force: what is announced from then on reaches `listener`. */
  subscribe(userId: string, listener: Listener): Promise<Subscription>
  /** Tells all other nodes; lost to those who do not listen just now. */
  broadcast(topic: string, text: string): void
  onBroadcast(topic: string, listener: (text: string) => void): void
}
