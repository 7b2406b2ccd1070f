import type { Direction, Ends, Wire } from '../relay-box.ts'

const BYTES_PER_MS = 50_000 / 8 / 1_000
const ONE_WAY_MS = 300
const SEGMENT_BYTES = 1_400
const LOSS = 0.05
/** What a lost segment costs: the sender's retransmission time-out. Those behind it wait, as TCP keeps the order. */
const RETRANSMIT_MS = 1_000
/** A modem's buffer: beyond it the sender is held. */
const BUFFER_BYTES = 32_768

/** One direction of the line, shared by all connections. */
type Line = { freeAt: number; queued: number }

/** 50 kbit/s each way, 600 ms there and back, 5 % of the segments lost. */
export const slowLink: Wire = () => {
  const lines: Record<Direction, Line> = { up: { freeAt: 0, queued: 0 }, down: { freeAt: 0, queued: 0 } }
  return (ends) => {
    const up = sender('up', lines.up, ends)
    const down = sender('down', lines.down, ends)
    return (direction, chunk) => (direction === 'up' ? up : down)(chunk)
  }
}

function sender(direction: Direction, line: Line, ends: Ends): (chunk: Buffer | null) => void {
  // The handshake takes its time there and back, before the first byte.
  let inOrder = performance.now() + (direction === 'up' ? 2 * ONE_WAY_MS : 0)
  const deliver = (segment: Buffer | null) => {
    const bytes = segment?.length ?? 0
    line.freeAt = Math.max(line.freeAt, performance.now()) + (bytes + 40) / BYTES_PER_MS
    line.queued += bytes
    const late = Math.random() < LOSS ? RETRANSMIT_MS : 0
    inOrder = Math.max(inOrder, line.freeAt + ONE_WAY_MS + late)
    if (line.queued > BUFFER_BYTES) ends.hold(direction, true)
    setTimeout(() => {
      line.queued -= bytes
      if (line.queued < BUFFER_BYTES) ends.hold(direction, false)
      ends.pass(direction, segment)
    }, inOrder - performance.now()).unref()
  }
  return (chunk) => {
    if (chunk === null) deliver(null)
    for (let at = 0; chunk && at < chunk.length; at += SEGMENT_BYTES)
      deliver(chunk.subarray(at, at + SEGMENT_BYTES))
  }
}
