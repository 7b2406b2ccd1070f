import type { Opening, Start } from '../protocol/cursor.ts'
import type { LogEvent } from '../protocol/event.ts'

/** The inboxes as the database holds them: the truth behind every hint. Handed in, since live/ knows no SQL. */
export interface Log {
  /** Judges a starting point. */
  open(userId: string, start: Start): Promise<Opening>
  /** Events behind `after`, ascending; fewer than `limit` means that there are no more. */
  readAfter(userId: string, after: number, limit: number): Promise<LogEvent[]>
  /** The heads of many inboxes in one query. */
  heads(userIds: string[]): Promise<Map<string, { epoch: string; head: number }>>
}
