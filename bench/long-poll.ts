import type { PollerTasks } from './load/poller.ts'
import type { SenderTasks, SendTarget } from './load/sender.ts'
import { type Bench, type BenchContext, type Figure, round } from './support/bench.ts'
import { coresNote } from './support/cpu.ts'
import type { Gateway } from './support/gateway.ts'
import { measureSends, startSender, targetsOf } from './support/sending.ts'
import { startWorker, type Worker } from './support/worker.ts'

const POLLERS = 1_000

type Publishing = { title: string; targets: SendTarget[]; connections: number }

/** A thousand clients that wait, are answered, and ask again from the cursor they got. */
export const longPoll: Bench = {
  name: 'long-poll',
  async run(context) {
    const pollers = Array.from({ length: POLLERS }, (_, user) => user)
    // To each poller writes somebody who does not poll; in the last conversation are all pollers.
    const pairs = pollers.map((user) => [POLLERS + user, user])
    const conversations = [...shuffled(pairs), pollers]
    const { gateway, world } = await context.boot({ users: POLLERS * 2, conversations })
    const targets = await targetsOf(world, conversations)
    const polling = context.use(startWorker<PollerTasks>(new URL('./load/poller.ts', import.meta.url)))
    const tokens = await Promise.all(pollers.map((user) => world.tokenOf(user)))
    await polling.ask('open', { url: gateway.url, tokens })
    const toAll = targets.slice(-1)
    const { connections } = context
    const runs: Publishing[] = [
      { title: 'long-poll, to one at random', targets: targets.slice(0, -1), connections },
      { title: 'long-poll, to all, 1 publisher', targets: toAll, connections: 1 },
      { title: 'long-poll, to all, 16 publishers', targets: toAll, connections: 16 },
    ]
    const sender = startSender(context)
    const figures: Figure[] = []
    for (const publishing of runs)
      figures.push(...(await measure(context, gateway, polling, sender, publishing)))
    const { failed } = await polling.ask('look', null)
    return [
      ...figures,
      { what: 'long-poll: polls failed', value: String(failed), goal: { text: '0', met: failed === 0 } },
    ]
  },
}

async function measure(
  context: BenchContext,
  gateway: Gateway,
  polling: Worker<PollerTasks>,
  sender: Worker<SenderTasks>,
  { title, targets, connections }: Publishing,
): Promise<Figure[]> {
  context.progress(title)
  const look = async () => ({ ...(await polling.ask('look', null)), at: performance.now() })
  let before = await look()
  const job = { url: gateway.url, connections, seconds: context.seconds, targets }
  const run = await measureSends(sender, gateway, job, [polling.pid], async () => {
    before = await look()
  })
  const after = await look()
  const seconds = (after.at - before.at) / 1_000
  const answers = after.answers - before.answers
  return [
    { what: `${title}: answers/s`, value: round(answers / seconds), note: coresNote(run.cpu) },
    {
      what: `${title}: events/s, gateway CPU per 1,000 answers`,
      value: `${round((after.events - before.events) / seconds)}, ${round((run.cpu.gateway / answers) * 1e6)} ms`,
    },
  ]
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}
