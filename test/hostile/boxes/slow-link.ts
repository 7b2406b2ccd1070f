import type { Direction, Ends, Wire } from '../relay-box.ts'

const BYTES_PER_MS = 50_000 / 8 / 1_000
const ONE_WAY_MS = 300
const SEGMENT_BYTES = 1_400
const LOSS = 0.05
/** What a lost segment costs: the sender's retransmission time-out. Those behind it wait, as TCP keeps the order. */
const RETRANSMIT_MS = 1_000
/** Of one connection on its way: beyond it the sender is held. */
const BUFFER_BYTES = 32_768

/** One direction of the line, shared by all connections: when it has sent what it was given. */
type Line = { freeAt: number }

/** 50 kbit/s each way, 600 ms there and back, 5 % of the segments lost. */
export const slowLink: Wire = () => {
  const lines: Record<Direction, Line> = { up: { freeAt: 0 }, down: { freeAt: 0 } }
  return (ends) => {
    const up = sender('up', lines.up, ends)
    const down = sender('down', lines.down, ends)
    return (direction, chunk) => (direction === 'up' ? up : down)(chunk)
  }
}

function sender(direction: Direction, line: Line, ends: Ends): (chunk: Buffer | null) => void {
  // The handshake takes its time there and back, before the first byte.
  let inOrder = performance.now() + (direction === 'up' ? 2 * ONE_WAY_MS : 0)
  let queued = 0
  // Timers count whole milliseconds, so a later one may fire first: what is due then is still the oldest.
  const under: (Buffer | null)[] = []
  const deliver = (segment: Buffer | null) => {
    const bytes = segment?.length ?? 0
    line.freeAt = Math.max(line.freeAt, performance.now()) + (bytes + 40) / BYTES_PER_MS
    queued += bytes
    const late = Math.random() < LOSS ? RETRANSMIT_MS : 0
    inOrder = Math.max(inOrder, line.freeAt + ONE_WAY_MS + late)
    if (queued > BUFFER_BYTES) ends.hold(direction, true)
    under.push(segment)
    setTimeout(() => {
      queued -= bytes
      if (queued < BUFFER_BYTES) ends.hold(direction, false)
      ends.pass(direction, under.shift() ?? null)
    }, inOrder - performance.now()).unref()
  }
  return (chunk) => {
    if (chunk === null) deliver(null)
    for (let at = 0; chunk && at < chunk.length; at += SEGMENT_BYTES)
      deliver(chunk.subarray(at, at + SEGMENT_BYTES))
  }
}
