import type { Announcement, EventBody, Hint } from '../protocol/event.ts'

/** A longer event (bytes) goes as a hint without its body: whoever serves the inbox reads the log. */
const MAX_BODY_BYTES = 8 * 1024
const OPENING = /^\{"database_epoch":"(\w+)","id":(\d+)([,}])/
/** An opening is shorter than this. */
const OPENING_BYTES = 128

/** A hint per recipient as it travels: the event's JSON with its id, and before that the life of the database. */
export function* encodeHints({ ids, database_epoch, body }: Announcement): Generator<Buffer> {
  const fits = Buffer.byteLength(body.json) <= MAX_BODY_BYTES
  const opening = `{"database_epoch":"${database_epoch}","id":`
  const rest = fits ? `,${body.json}` : '}'
  for (const id of ids) yield Buffer.from(opening + id + rest)
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
    const rest = bytes.subarray(opening.length)
    if (end === '}') return { id, database_epoch }
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
