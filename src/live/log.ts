import type { Opening, Start } from '../protocol/cursor.ts'
import type { LogEvent } from '../protocol/event.ts'

/** The inboxes as the database holds them: the truth behind every hint. Handed in, since live/ knows no SQL. */
export interface Log {
  /** Judges a starting point. */
  open(userId: string, start: Start): Promise<Opening>
  /**
   * Events behind `after`, ascending; fewer than `limit` means that there are no more. Rejects where the inbox has
   * another epoch by now.
   */
  readAfter(userId: string, epoch: string, after: number, limit: number): Promise<LogEvent[]>
  /** The heads of many inboxes in one query, and the life of the database that they belong to. */
  heads(userIds: readonly string[]): Promise<{ database_epoch: string; heads: Map<string, number> }>
  /** Draws a new database epoch, once, as what was committed under this one is not there any more. */
  redrawEpoch(database_epoch: string): Promise<void>
}
