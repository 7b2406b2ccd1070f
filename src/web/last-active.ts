import type { PresenceState } from '../protocol/types.ts'
import { dayAndTime } from './clock.ts'

/** In words; nothing for somebody who never was there. */
export function lastActive({ status, last_active_at }: PresenceState): string {
  if (status === 'online') return 'online'
  return last_active_at === null ? '' : `last active ${dayAndTime(last_active_at)}`
}
