/** Limits and durations of the wire protocol, v1. Bytes and milliseconds unless the name says otherwise. */

/** No answer but a stream is larger, unless its first item alone is: some scanners stall on more. */
export const MAX_ANSWER_BYTES = 48 * 1024
/** A request body over this is 413. */
export const MAX_BODY_BYTES = 1536 * 1024
/** Unicode code points in one message. */
export const MAX_TEXT_LENGTH = 100_000
/** Everywhere but in its own resource a longer text is cut here, at a code point (UTF-8 bytes). */
export const MAX_INLINE_TEXT_BYTES = 8 * 1024
/** Unicode code points in an announcement: as much as an event carries uncut. */
export const MAX_ANNOUNCEMENT_LENGTH = 2_000
/** A product's own JSON on users, conversations and messages. */
export const MAX_DATA_BYTES = 4 * 1024
export const MAX_BATCH_MESSAGES = 100
export const MAX_BATCH_RECIPIENTS = 1_000

export const DEFAULT_WAIT_SECONDS = 25
export const MAX_WAIT_SECONDS = 55
export const DEFAULT_HEARTBEAT_SECONDS = 15
export const MIN_HEARTBEAT_SECONDS = 5
export const MAX_HEARTBEAT_SECONDS = 50
export const MAX_PADDING_BYTES = 8192
export const DEFAULT_EVENTS_LIMIT = 100
export const MAX_EVENTS_LIMIT = 500
/** What a browser waits before it reconnects a stream. */
export const RETRY_MS = 2_000
/** A slice (SSE with `limit`) ends this long after its first log event … */
export const SLICE_LINGER_MS = 100
/** … and at the latest after this. */
export const SLICE_MAX_MS = 20_000

export const ACCESS_TOKEN_SECONDS = 15 * 60
export const STREAM_TICKET_SECONDS = 60
export const SESSION_DAYS = 30
/** A spent refresh token still works this long after its successor was first used. */
export const REFRESH_GRACE_MS = 30_000
/** What passes ends a poll once that has waited so long. */
export const PASSING_WAIT_MS = 2_000
/** Groups of more than so many people see nobody type, read or come and go. */
export const MAX_WATCHED_MEMBERS = 100
/** Of somebody who types nothing more is said for so long … */
export const TYPING_EVERY_MS = 3_000
/** … and without another word it is over after this. */
export const TYPING_SECONDS = 6
/** Others' read marks in a conversation: at most one per person in this time, the newest. */
export const RECEIPT_EVERY_MS = 1_000
export const MAX_PRESENCE_IDS = 100
/** How long `active` and "is there" hold after a device last said so. */
export const LEASE_MS = 40_000
