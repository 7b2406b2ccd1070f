import { RUNGS, type Rung } from './ladder/rungs.ts'
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
  const can = {
    sse: source !== undefined || hasBodies,
    'sse-disguised': hasBodies,
    // Where an answer is read when it is whole, a slice would hold back what passes until its end.
    'sse-slices': hasBodies,
    'long-poll': true,
    poll: true,
  }
  const rungs = RUNGS.filter((rung) => can[rung] && (!isCrowded || rung === 'poll'))
  return { rungs, EventSource: source, hasBodies }
}
