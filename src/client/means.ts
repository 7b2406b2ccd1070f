import { isStream, RUNGS, type Rung } from './ladder/rungs.ts'
import type { EventSourceClass } from './transports.ts'

export type Means = { rungs: readonly Rung[]; EventSource: EventSourceClass | undefined; hasBodies: boolean }

/**
 * What this runtime can do: some have no `EventSource`, some no bodies that can be read as they come. `given` is the class
 * to use, `null` for none. One of too many tabs polls.
 */
export function meansOf(given: EventSourceClass | null | undefined, isCrowded: boolean): Means {
  const native = typeof EventSource === 'undefined' ? undefined : EventSource
  const source = given === null ? undefined : (given ?? native)
  const hasBodies = typeof Response !== 'undefined' && 'body' in Response.prototype
  // Where an answer is read when it is whole, a slice would hold back what passes until its end.
  const can = (rung: Rung) => !isStream(rung) || hasBodies || (rung === 'sse' && source !== undefined)
  const rungs = RUNGS.filter((rung) => (isCrowded ? rung === 'poll' : can(rung)))
  return { rungs, EventSource: source, hasBodies }
}
