/** The ways to read an inbox, best first. A lower one needs less of the network. */
export const RUNGS = ['sse', 'sse-disguised', 'sse-slices', 'long-poll', 'poll'] as const

export type Rung = (typeof RUNGS)[number]
export type StreamRung = Exclude<Rung, 'long-poll' | 'poll'>

/** Whether a rung is a stream; the other two are polls. */
export function isStream(rung: Rung): rung is StreamRung {
  return rung.startsWith('sse')
}
