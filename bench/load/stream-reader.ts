import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { serveTasks } from '../support/worker.ts'

export type OpenJob = { url: string; tokens: readonly string[] }

/** How many streams are asked for at once. */
const OPENING = 100
const OPEN_MS = 30_000
const EVENT_MARK = Buffer.from('\nid: ')
const HEARTBEAT_WITHIN_BYTES = 2_048
const HEARTBEAT_MARK = Buffer.from('\nevent: heartbeat')

/** One stream, read as cheaply as can be: bytes go into a buffer that all share, and only marks in them are counted. */
class StreamReader {
  events = 0
  heartbeats = 0
  isOpen = true
  /** How much of a mark the last bytes were: it may be cut in two. */
  #begun = 0
  readonly #socket: Socket

  constructor(url: URL, token: string, buffer: Buffer) {
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port),
      onread: { buffer, callback: (length) => this.#take(buffer.subarray(0, length)) },
    })
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      this.isOpen = false
    })
    this.#socket.write(
      `GET /v1/events?as=sse HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
  }

  #take(bytes: Buffer): boolean {
    if (this.#begun > 0 && matches(bytes, 0, this.#begun, EVENT_MARK.length)) this.events += 1
    this.events += count(bytes, EVENT_MARK)
    // A heartbeat comes after a silence or with the head; nobody looks for one in runs of events.
    if (bytes.length < HEARTBEAT_WITHIN_BYTES) this.heartbeats += count(bytes, HEARTBEAT_MARK)
    this.#begun = beginning(bytes)
    return true
  }
}

function count(bytes: Buffer, mark: Buffer): number {
  let found = 0
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) found += 1
  return found
}

/** How many bytes of an event's mark `bytes` ends with. */
function beginning(bytes: Buffer): number {
  for (let length = EVENT_MARK.length - 1; length > 0; length -= 1) {
    if (matches(bytes, bytes.length - length, 0, length)) return length
  }
  return 0
}

/** Whether `bytes`, from `at`, are the event's mark from `from` to `to`. */
function matches(bytes: Buffer, at: number, from: number, to: number): boolean {
  for (let index = from; index < to; index += 1) {
    if (bytes[at + index - from] !== EVENT_MARK[index]) return false
  }
  return true
}

const readers: StreamReader[] = []

/** Opens a stream per token; resolves when each has had its `hello` and its first heartbeat. */
async function open({ url, tokens }: OpenJob): Promise<void> {
  const buffer = Buffer.allocUnsafe(256 * 1024)
  const target = new URL(url)
  const deadline = performance.now() + OPEN_MS
  for (let from = 0; from < tokens.length; from += OPENING) {
    const opening = tokens.slice(from, from + OPENING).map((token) => new StreamReader(target, token, buffer))
    readers.push(...opening)
    while (opening.some((reader) => reader.heartbeats === 0)) {
      if (performance.now() > deadline) throw new Error('not all streams opened in time')
      await setTimeout(5)
    }
  }
  for (const reader of readers) {
    reader.events = 0
    reader.heartbeats = 0
  }
}

/** What the streams have had since they were opened. */
function look() {
  const events = readers.map((reader) => reader.events)
  return {
    open: readers.filter((reader) => reader.isOpen).length,
    events: events.reduce((sum, each) => sum + each, 0),
    /** Equal where everybody is told everything. */
    fewest: Math.min(...events),
    most: Math.max(...events),
    withHeartbeat: readers.filter((reader) => reader.heartbeats > 0).length,
  }
}

const tasks = { open, look: (_: null) => look() }
export type StreamReaderTasks = typeof tasks
serveTasks(tasks)
