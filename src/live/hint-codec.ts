import type { Announcement, EventBody, Hint, HintsForMany } from '../protocol/event.ts'

/** A longer event (bytes) goes as a hint without its body: whoever serves the inbox reads the log. */
const MAX_BODY_BYTES = 8 * 1024
const OPENING = /^\{"database_epoch":"(\w+)","id":(?=\d)/
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

/**
 * An announcement to many as one piece for all nodes: a line that says who got the event under which id, then the event
 * without its id, both JSON. A tenth of the bytes and of the work of a hint each, where most nodes serve some of them.
 */
export function encodeAnnouncement({ recipients, ids, database_epoch, body }: Announcement): Buffer {
  const header = JSON.stringify({ database_epoch, ids, recipients })
  const fits = Buffer.byteLength(body.json) <= MAX_BODY_BYTES
  return Buffer.from(fits ? `${header}\n{${body.json}` : header)
}

/** `undefined` for what no node of ours ever sent. */
export function readAnnouncement(data: Uint8Array): HintsForMany | undefined {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
  const end = text.indexOf('\n')
  try {
    const { database_epoch, ids, recipients } = JSON.parse(end < 0 ? text : text.slice(0, end))
    const isOurs = typeof database_epoch === 'string' && Array.isArray(ids) && Array.isArray(recipients)
    const body = end < 0 ? undefined : readBody(text.slice(end + 2))
    if (!isOurs || (end >= 0 && !body)) return undefined
    return { database_epoch, ids, recipients, body }
  } catch {
    return undefined
  }
}

/**
 * Reads hints. One event comes once for each of its recipients here, so what was read last is compared first: nothing is
 * decoded twice, and the recipients share one body.
 */
export class HintReader {
  /** `{"database_epoch":"…","id":` of the last hint. */
  #opening: Buffer = Buffer.alloc(0)
  #databaseEpoch = ''
  /** From behind the id of the last hint to its end. */
  #rest: Buffer = Buffer.alloc(0)
  #body: EventBody | undefined

  /** `undefined` for what no node of ours ever sent. */
  read(data: Uint8Array): Hint | undefined {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const openingLength = this.#opening.length
    // Anybody may publish here: comparing beyond the end of what is shorter would throw, and end the driver's reading.
    const isLike = openingLength > 0 && bytes.length > openingLength
    if (!isLike || this.#opening.compare(bytes, 0, openingLength) !== 0) {
      if (!this.#readOpening(bytes)) return undefined
    }
    let at = this.#opening.length
    let id = 0
    for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, at)) {
      id = id * 10 + digit
      at += 1
    }
    if (bytes[at] === CLOSING_BRACE && at + 1 === bytes.length)
      return { id, database_epoch: this.#databaseEpoch }
    if (bytes[at] !== COMMA) return undefined
    if (this.#rest.compare(bytes, at + 1) !== 0) {
      this.#rest = bytes.subarray(at + 1)
      this.#body = readBody(this.#rest.toString())
    }
    return this.#body && { id, database_epoch: this.#databaseEpoch, body: this.#body }
  }

  #readOpening(bytes: Buffer): boolean {
    const match = OPENING.exec(bytes.toString('latin1', 0, OPENING_BYTES))
    if (!match) return false
    this.#opening = bytes.subarray(0, match[0].length)
    this.#databaseEpoch = match[1] ?? ''
    return true
  }
}

const ZERO = 48
const COMMA = 44
const CLOSING_BRACE = 125

/** -1 where there is none. */
function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - ZERO
  return digit >= 0 && digit <= 9 ? digit : -1
}

function readBody(json: string): EventBody | undefined {
  try {
    const { type, conversation_id = null, user_id } = JSON.parse(`{${json}`)
    return typeof type === 'string' ? ({ type, conversation_id, user_id, json } as EventBody) : undefined
  } catch {
    return undefined
  }
}
