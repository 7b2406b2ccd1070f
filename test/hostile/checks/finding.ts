import type { Person } from '../../support/person.ts'
import type { Box } from '../box.ts'

/** What a box does to one way of asking. */
export type Verdict =
  /** All came, at once. */
  | 'passes'
  /** An event shows only when the next one comes. */
  | 'one behind'
  /** Nothing shows until the answer ends. */
  | 'held'
  /** Nothing shows, not even at the end. */
  | 'stalls'
  /** Another status than the server's. */
  | 'refused'
  /** The box ends it. */
  | 'cut'
  /** The connection seems to be there, but nothing passes any more. */
  | 'dropped'

/** A verdict and its measure, ready to be shown: milliseconds of lag, seconds until the cut, the status. */
export type Finding = { verdict: Verdict; measure: string }

/** What a check works with: the box, somebody new who reads through it, somebody who writes to them around it. */
export type Trial = {
  box: Box
  reader: Person
  conversation: string
  write: (text: string) => Promise<unknown>
  /** How long to watch what should stay. */
  seconds: number
}

/** How long a message may take to show and still be at once; a slow link is slow, not a scanner. */
export const AT_ONCE_MS = 4_000

export const found = (verdict: Verdict, measure: string | number = ''): Finding => ({
  verdict,
  measure: typeof measure === 'number' ? `${Math.round(measure)} ms` : measure,
})

/** curl's arguments to be the reader. */
export const as = ({ reader }: Trial): string[] => [
  '-H',
  `Authorization: ${reader.authorization.authorization}`,
]
