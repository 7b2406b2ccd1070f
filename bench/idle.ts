import { setTimeout } from 'node:timers/promises'
import type { StreamReaderTasks } from './load/stream-reader.ts'
import { atMost, type Bench } from './support/bench.ts'
import { residentBytes } from './support/processes.ts'
import { startWorker } from './support/worker.ts'

const STREAMS = 4_000
const GOAL_KB = 25
const SETTLE_MS = 3_000
const HEARTBEAT_WITHIN_MS = 40_000
/** After every stream has had a heartbeat: memory is looked at over this time, and its middle counts. */
const LOOKS = 11
const LOOK_EVERY_MS = 500

/** Open streams on which nothing happens but heartbeats: what one of them keeps in memory. */
export const idle: Bench = {
  name: 'idle',
  async run(context) {
    const users = Array.from({ length: STREAMS }, (_, user) => user)
    const { gateway, world } = await context.boot({ users: STREAMS, conversations: [] })
    const tokens = await Promise.all(users.map((user) => world.tokenOf(user)))
    const readers = context.use(
      startWorker<StreamReaderTasks>(new URL('./load/stream-reader.ts', import.meta.url)),
    )
    await setTimeout(SETTLE_MS)
    const before = residentBytes(gateway.pid)
    await readers.ask('open', { url: gateway.url, tokens })
    const opened = residentBytes(gateway.pid)
    context.progress('waiting for heartbeats')
    const deadline = performance.now() + HEARTBEAT_WITHIN_MS
    while ((await readers.ask('look', null)).withHeartbeat < STREAMS) {
      if (performance.now() > deadline) throw new Error('not every stream had a heartbeat')
      await setTimeout(LOOK_EVERY_MS)
    }
    const looks: number[] = []
    for (let look = 0; look < LOOKS; look += 1) {
      await setTimeout(LOOK_EVERY_MS)
      looks.push(residentBytes(gateway.pid))
    }
    const { open } = await readers.ask('look', null)
    const settled = looks.sort((a, b) => a - b)[LOOKS >> 1] ?? 0
    const perStream = (bytes: number) => (bytes - before) / open / 1_024
    const megabytes = (bytes: number) => `${Math.round(bytes / 1_048_576)} MB`
    return [
      {
        what: `idle, ${open} streams: resident memory per stream`,
        ...atMost(GOAL_KB, perStream(settled), 'KB'),
        note: `resident ${megabytes(before)} before, ${megabytes(opened)} opened, ${megabytes(settled)} after heartbeats`,
      },
    ]
  },
}
