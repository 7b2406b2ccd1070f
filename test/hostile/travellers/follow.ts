import type { Person } from '../../support/person.ts'
import type { Way } from '../box.ts'

/** A place in somebody's inbox. */
type Place = { reader: Person; cursor: string }

/** Reads an inbox through a way until the signal ends it; hands on the texts that others wrote. */
export type Follow = (
  way: Way,
  place: Place,
  signal: AbortSignal,
  onText: (text: string) => void,
  onConnected: () => void,
) => Promise<void>

/** Hands on what of these events is a message of somebody else. */
export function handOn(events: readonly object[], reader: Person, onText: (text: string) => void): void {
  for (const event of events as { message?: { text: string; sender_id: string } }[])
    if (event.message && event.message.sender_id !== reader.id) onText(event.message.text)
}
