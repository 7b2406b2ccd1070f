import type { Announcement, EventBody, Hint } from '../protocol/event.ts'

/** A longer event (bytes) goes as a hint without its body: whoever serves the inbox reads the log. */
const MAX_BODY_BYTES = 8 * 1024
const OPENING = /^\{"database_epoch":"(\w+)","id":(\d+)([,}])/
/** An opening is shorter than this. */
const OPENING_BYTES = 128
/** What stands between payloads beside the subject: the command, its length, line ends. */
const COMMAND_BYTES = 32

/**
 * A hint per recipient as NATS takes it, all in one piece: `PUB <subject> <bytes>`, then the event's JSON with the
 * database's epoch and its id in front (docs.nats.io, client protocol). One copy of the body each and nothing else: an
 * announcement to a thousand readers must not cost more than their deliveries.
 */
export function encodeHints(
  { ids, database_epoch, body }: Announcement,
  subjects: readonly string[],
): Buffer {
  const fits = Buffer.byteLength(body.json) <= MAX_BODY_BYTES
  const opening = `{"database_epoch":"${database_epoch}","id":`
  const rest = Buffer.from(`${fits ? `,${body.json}` : '}'}\r\n`)
  const fixedBytes = opening.length + rest.length - 2
  const subjectBytes = subjects.reduce((sum, subject) => sum + subject.length, 0)
  const frames = Buffer.allocUnsafe(subjectBytes + ids.length * (OPENING_BYTES + COMMAND_BYTES + rest.length))
  let at = 0
  for (const [index, id] of ids.entries()) {
    const digits = String(id)
    const command = `PUB ${subjects[index]} ${fixedBytes + digits.length}\r\n${opening}${digits}`
    at += frames.write(command, at, 'latin1')
    frames.set(rest, at)
    at += rest.length
  }
  return frames.subarray(0, at)
}

/** Reads hints. One event comes once for each of its recipients here: its body is read once and shared by them. */
export class HintReader {
  #lastBytes: Buffer = Buffer.alloc(0)
  #lastBody: EventBody | undefined

  /** `undefined` for what no node of ours ever sent. */
  read(data: Uint8Array): Hint | undefined {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const match = OPENING.exec(bytes.toString('latin1', 0, OPENING_BYTES))
    if (!match) return undefined
    const [opening, database_epoch = '', digits, end] = match
    const id = Number(digits)
    if (end === '}') return { id, database_epoch }
    const rest = bytes.subarray(opening.length)
    if (!rest.equals(this.#lastBytes)) {
      this.#lastBody = readBody(rest.toString())
      this.#lastBytes = rest
    }
    return this.#lastBody && { id, database_epoch, body: this.#lastBody }
  }
}

function readBody(json: string): EventBody | undefined {
  try {
    const { type, conversation_id = null, user_id } = JSON.parse(`{${json}`)
    return typeof type === 'string' ? ({ type, conversation_id, user_id, json } as EventBody) : undefined
  } catch {
    return undefined
  }
}
