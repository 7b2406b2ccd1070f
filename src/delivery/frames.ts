import { type Cursor, formatCursor } from '../protocol/cursor.ts'
import type { LogEvent } from '../protocol/event.ts'
import type { PassingEvent } from '../protocol/passing.ts'
import type { ByeReason, ResetReason } from '../protocol/types.ts'

/** Frames of the event stream format: WHATWG HTML, 9.2. JSON holds no raw CR or LF, so one `data:` line carries any text. */

export type HelloFields = { cursor: string; head: string; heartbeat: number; node: string; at: string }

/** Before anything else: how soon to come back, and where the stream begins, should it be cut right here. */
export function helloFrame(fields: HelloFields, retryMs: number): string {
  return `retry: ${retryMs}\nevent: hello\nid: ${fields.cursor}\ndata: ${JSON.stringify(fields)}\n\n`
}

/** An event and not a comment, so that a browser can watch for it. */
export function heartbeatFrame(head: string, at: Date): string {
  return `event: heartbeat\ndata: {"head":"${head}","at":"${at.toISOString()}"}\n\n`
}

/** A log event; `cursorPrefix` is `<epoch>-`. No `event:` line: the plainest client sees it. */
export function eventFrame(cursorPrefix: string, { id, body }: LogEvent): string {
  return `id: ${cursorPrefix}${id}\ndata: {"id":${id},${body.json}\n\n`
}

/** An event that passes has neither `id:` nor `event:`: nobody resumes behind it. */
export function passingFrame({ json }: PassingEvent): string {
  return `data: ${json}\n\n`
}

export function resetFrame(cursor: Cursor, reason: ResetReason): string {
  const text = formatCursor(cursor)
  return `event: reset\nid: ${text}\ndata: ${JSON.stringify({ cursor: text, reason })}\n\n`
}

/** The server is about to end the stream; the matching `retry:` is for those who read nothing else. */
export function byeFrame(reason: ByeReason, retryMs: number): string {
  return `retry: ${retryMs}\nevent: bye\ndata: ${JSON.stringify({ reason, retry_ms: retryMs })}\n\n`
}

/** A comment that pushes what follows out of a proxy that holds back the first kilobytes. */
export function paddingFrame(bytes: number): string {
  return bytes < 4 ? '' : `: ${' '.repeat(bytes - 4)}\n\n`
}
