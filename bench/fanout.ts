import type { SenderTasks, SendTarget } from './load/sender.ts'
import type { StreamReaderTasks } from './load/stream-reader.ts'
import { atLeast, type Bench, type BenchContext, type Figure, round } from './support/bench.ts'
import { coresNote } from './support/cpu.ts'
import type { Gateway } from './support/gateway.ts'
import { measureSends, startSender, targetsOf } from './support/sending.ts'
import { startWorker, type Worker } from './support/worker.ts'

const READERS = 1_000
const GROUP_SIZE = 100
const GOAL = 60_000
const QUIET_MS = 500
const QUIET_WITHIN_MS = 20_000

type Publishing = { title: string; targets: SendTarget[]; connections: number; goal?: number }

/** Messages that reach a thousand open streams: one group of all of them, then ten groups that share them. */
export const fanout: Bench = {
  name: 'fanout',
  async run(context) {
    const everyone = Array.from({ length: READERS }, (_, user) => user)
    const tenths = Array.from({ length: READERS / GROUP_SIZE }, (_, index) =>
      everyone.slice(index * GROUP_SIZE, (index + 1) * GROUP_SIZE),
    )
    const conversations = [everyone, ...tenths]
    const { gateway, world } = await context.boot({ users: READERS, conversations })
    const targets = await targetsOf(world, conversations)
    const readers = context.use(
      startWorker<StreamReaderTasks>(new URL('./load/stream-reader.ts', import.meta.url)),
    )
    const tokens = await Promise.all(everyone.map((user) => world.tokenOf(user)))
    await readers.ask('open', { url: gateway.url, tokens })
    const toAll = targets.slice(0, 1)
    const everybody: Publishing[] = [1, 16, context.connections].map((connections) => ({
      title: `fanout to 1,000 streams, one group, publishers: ${connections}`,
      targets: toAll,
      connections,
      ...(connections === context.connections && { goal: GOAL }),
    }))
    const sender = startSender(context)
    const measureOne = (publishing: Publishing) => measure(context, gateway, readers, sender, publishing)
    const figures: Figure[] = []
    for (const publishing of everybody) figures.push(...(await measureOne(publishing)))
    const { open, fewest, most } = await readers.ask('look', null)
    figures.push({
      what: 'fanout: events of the stream that had fewest / most',
      value: `${round(fewest)} / ${round(most)}`,
      goal: { text: 'equal', met: open === READERS && fewest === most },
    })
    const { connections } = context
    const title = `fanout to 1,000 streams, ten groups, publishers: ${connections}`
    return [...figures, ...(await measureOne({ title, targets: targets.slice(1), connections }))]
  },
}

async function measure(
  context: BenchContext,
  gateway: Gateway,
  readers: Worker<StreamReaderTasks>,
  sender: Worker<SenderTasks>,
  { title, targets, connections, goal }: Publishing,
): Promise<Figure[]> {
  context.progress(title)
  const job = { url: gateway.url, connections, seconds: context.seconds, targets }
  let before = { events: 0, at: 0 }
  const look = async () => ({ events: (await readers.ask('look', null)).events, at: performance.now() })
  const run = await measureSends(sender, gateway, job, [readers.pid], async () => {
    before = await look()
  })
  const after = await look()
  await quiet(readers)
  const events = after.events - before.events
  const perSecond = events / ((after.at - before.at) / 1_000)
  return [
    {
      what: `${title}: deliveries/s`,
      ...(goal === undefined ? { value: round(perSecond) } : atLeast(goal, perSecond)),
      note: coresNote(run.cpu),
    },
    {
      what: `${title}: gateway CPU per 100,000`,
      value: `${round((run.cpu.gateway / events) * 100_000)} s`,
    },
    {
      what: `${title}: send p50 / p99`,
      value: `${round(run.latency.p50)} / ${round(run.latency.p99)} ms`,
      ...(run.failed > 0 && { note: `${run.failed} sends failed` }),
    },
  ]
}

/** Waits until nothing is on its way any more, so that one run does not pay for another. */
async function quiet(readers: Worker<StreamReaderTasks>): Promise<void> {
  const deadline = performance.now() + QUIET_WITHIN_MS
  let last = -1
  for (;;) {
    const { events } = await readers.ask('look', null)
    if (events === last) return
    if (performance.now() > deadline) throw new Error('deliveries did not end')
    last = events
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
  }
}
