import type { StreamReaderTasks } from './load/stream-reader.ts'
import { atMost, type Bench, type BenchContext, type Figure, round } from './support/bench.ts'
import { cpuSeconds } from './support/processes.ts'
import { measureSends, type SendRun, startSender, targetsOf } from './support/sending.ts'
import { startWorker } from './support/worker.ts'
import { randomPairs } from './support/world.ts'

const READERS = 1_000
const GROUP_SIZE = 100
const DELIVERY_GOAL = 1.15
const SENDERS = 10_000
const PAIRS = 6_400
const SEND_GOAL_PERCENT = 15
/** Each is measured so often, in turn, and the middle one counts: the machine is noisy. */
const ROUNDS = 3

/** What NATS costs: one node alone, one with NATS, and two that share the readers; deliveries and sends. */
export const nodes: Bench = {
  name: 'nodes',
  async run(context) {
    const delivery = await inTurn({
      alone: () => deliveryCost(context, 1, false),
      withNats: () => deliveryCost(context, 1, true),
      two: () => deliveryCost(context, 2, true),
    })
    const sending = await inTurn({
      alone: () => sendCost(context, false),
      withNats: () => sendCost(context, true),
    })
    const ratio = (cost: number) => round(cost / delivery.alone)
    const slower = (1 - sending.withNats.perSecond / sending.alone.perSecond) * 100
    return [
      figure(
        'groups of 100: gateway CPU per 100,000 deliveries, one node alone',
        `${round(delivery.alone)} s`,
      ),
      {
        ...figure('… one node with NATS', `${round(delivery.withNats)} s, ${ratio(delivery.withNats)} times`),
        goal: goal(delivery.withNats / delivery.alone),
      },
      {
        ...figure(
          '… two nodes with NATS, half of the readers each',
          `${round(delivery.two)} s, ${ratio(delivery.two)} times`,
        ),
        goal: goal(delivery.two / delivery.alone),
      },
      figure(
        'direct sends/s, one node alone / with NATS',
        `${round(sending.alone.perSecond)} / ${round(sending.withNats.perSecond)}`,
      ),
      { what: 'direct sends: NATS costs of the rate', ...atMost(SEND_GOAL_PERCENT, slower, '%') },
      figure(
        'direct sends: gateway CPU per 1,000, alone / with NATS',
        `${round(sending.alone.cpuPer1000)} / ${round(sending.withNats.cpuPer1000)} ms`,
      ),
    ]
  },
}

function figure(what: string, value: string): Figure {
  return { what, value }
}

function goal(ratio: number): NonNullable<Figure['goal']> {
  return { text: `≤ ${DELIVERY_GOAL} times`, met: ratio <= DELIVERY_GOAL }
}

/** Measures all in turn, several times; the middle of each by its (first) number. */
async function inTurn<T extends Record<string, () => Promise<unknown>>>(
  measures: T,
): Promise<{ [K in keyof T]: Awaited<ReturnType<T[K]>> }> {
  const found = new Map<string, unknown[]>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, measure] of Object.entries(measures)) {
      found.set(name, [...(found.get(name) ?? []), await measure()])
    }
  }
  const size = (value: unknown) =>
    typeof value === 'number' ? value : Number(Object.values(value as object)[0])
  const middle = (values: unknown[]) => values.sort((a, b) => size(a) - size(b))[values.length >> 1]
  return Object.fromEntries([...found].map(([name, values]) => [name, middle(values)])) as never
}

/** Gateway CPU seconds per 100,000 deliveries, all nodes together. */
async function deliveryCost(context: BenchContext, count: number, withNats: boolean): Promise<number> {
  context.progress(`deliveries, ${count} node(s)${withNats ? ' with NATS' : ''}`)
  const everyone = Array.from({ length: READERS }, (_, user) => user)
  // Neighbours are on different nodes: every group has readers on both.
  const groups = Array.from({ length: READERS / GROUP_SIZE }, (_, index) =>
    everyone.slice(index * GROUP_SIZE, (index + 1) * GROUP_SIZE),
  )
  await using stack = new AsyncDisposableStack()
  const { gateways, world } = await context.bootNodes(
    { users: READERS, conversations: groups },
    { count, withNats },
    stack,
  )
  const [first] = gateways
  if (!first) throw new Error('no gateway')
  const targets = await targetsOf(world, groups)
  const tokens = await Promise.all(everyone.map((user) => world.tokenOf(user)))
  const readers = stack.use(
    startWorker<StreamReaderTasks>(new URL('./load/stream-reader.ts', import.meta.url)),
  )
  for (const [index, { url }] of gateways.entries()) {
    await readers.ask('open', { url, tokens: tokens.filter((_, user) => user % count === index) })
  }
  const sender = startSender(stack)
  const spent = () => gateways.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
  const job = { url: first.url, connections: context.connections, seconds: context.seconds, targets }
  let before = { events: 0, cpu: 0 }
  const look = async () => ({ events: (await readers.ask('look', null)).events, cpu: spent() })
  await measureSends(sender, first, job, [readers.pid], async () => {
    before = await look()
  })
  const after = await look()
  return ((after.cpu - before.cpu) / (after.events - before.events)) * 100_000
}

async function sendCost(context: BenchContext, withNats: boolean) {
  context.progress(`sends${withNats ? ' with NATS' : ''}`)
  const conversations = randomPairs(SENDERS, PAIRS)
  await using stack = new AsyncDisposableStack()
  const { gateways, world } = await context.bootNodes(
    { users: SENDERS, conversations },
    { count: 1, withNats },
    stack,
  )
  const [gateway] = gateways
  if (!gateway) throw new Error('no gateway')
  const targets = await targetsOf(world, conversations)
  const sender = startSender(stack)
  const { connections, seconds } = context
  const run: SendRun = await measureSends(sender, gateway, {
    url: gateway.url,
    connections,
    seconds,
    targets,
  })
  return { perSecond: run.perSecond, cpuPer1000: (run.cpu.gateway / run.created) * 1_000_000 }
}
