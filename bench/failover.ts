import { setTimeout } from 'node:timers/promises'
import type { ReturningReaderTasks } from './load/returning-readers.ts'
import { atMost, type Bench, type Figure, round } from './support/bench.ts'
import type { BenchDatabase } from './support/database.ts'
import { startSender, targetsOf } from './support/sending.ts'
import { startWorker } from './support/worker.ts'

const STREAMS = 10_000
const SENDERS = 200
const CONNECTIONS = 8
const SECONDS = 20
const RETURN_GOAL_S = 30
const QUERIES_GOAL = 2
const SUCCESS_GOAL = 99.9
const PATIENCE_MS = 60_000
/** Postgres' own counts are written down about this late. */
const STATISTICS_MS = 2_000

/** A node with ten thousand streams is killed: how soon they are back on the two others, and what that costs. */
export const failover: Bench = {
  name: 'failover',
  async run(context) {
    const users = Array.from({ length: STREAMS }, (_, user) => user)
    const conversations = Array.from({ length: SENDERS / 2 }, (_, pair) => [pair * 2, pair * 2 + 1])
    await using owner = new AsyncDisposableStack()
    const plan = { users: STREAMS, conversations }
    const { gateways, world, database } = await context.bootNodes(plan, { count: 3, withNats: true }, owner)
    const [dying, ...others] = gateways
    const [first] = others
    if (!dying || !first) throw new Error('no gateways')
    const tokens = await Promise.all(users.map((user) => world.tokenOf(user)))
    const readers = owner.use(
      startWorker<ReturningReaderTasks>(new URL('./load/returning-readers.ts', import.meta.url)),
    )
    await readers.ask('open', { url: dying.url, others: others.map(({ url }) => url), tokens })
    const sender = startSender(owner)
    const targets = await targetsOf(world, conversations)
    const killAndCount = async () => {
      const before = await transactions(database)
      process.kill(dying.pid, 'SIGKILL')
      const took = await allBack(readers)
      await setTimeout(STATISTICS_MS)
      return { took, spent: (await transactions(database)) - before }
    }
    context.progress('killing a node')
    const idlePerSecond = await idleTransactions(database)
    const { took, spent } = await killAndCount()
    const queries = (spent - (idlePerSecond * (took + STATISTICS_MS)) / 1_000) / STREAMS
    return [
      {
        what: `failover, ${round(STREAMS)} streams: all back after`,
        ...atMost(RETURN_GOAL_S, took / 1_000, 's'),
      },
      { what: 'failover: transactions in Postgres per stream', ...atMost(QUERIES_GOAL, queries, '') },
      ...(await again()),
    ]

    /** The same the other way round, with sends to the node that stays: the streams come to it. */
    async function again(): Promise<Figure[]> {
      const job = { url: first?.url ?? '', connections: CONNECTIONS, seconds: SECONDS, targets }
      const sending = sender.ask('run', job)
      await setTimeout(STATISTICS_MS)
      const second = others[1]
      if (second) process.kill(second.pid, 'SIGKILL')
      await allBack(readers)
      const { created, failed, latency } = await sending
      const share = (created / (created + failed)) * 100
      return [
        {
          what: 'failover: sends answered 2xx while half of the streams come to the last node',
          value: `${share.toFixed(2)} %`,
          goal: { text: `≥ ${SUCCESS_GOAL} %`, met: share >= SUCCESS_GOAL },
          note: `${round(created)} sends, p50 ${round(latency.p50)}, p99 ${round(latency.p99)}, max ${round(latency.max)} ms`,
        },
      ]
    }
  },
}

type Readers = { ask(task: 'look', argument: null): Promise<{ open: number }> }

/** How long it took (ms) until every stream was open again. */
async function allBack(readers: Readers): Promise<number> {
  const began = performance.now()
  let hasFallen = false
  for (;;) {
    const { open } = await readers.ask('look', null)
    hasFallen ||= open < STREAMS
    const took = performance.now() - began
    if (hasFallen && open === STREAMS) return took
    if (took > PATIENCE_MS) throw new Error(`only ${open} streams came back`)
    await setTimeout(20)
  }
}

async function transactions(database: BenchDatabase): Promise<number> {
  return database.with(async ({ sql }) => {
    const [row] = await sql<{ count: string }[]>`
      SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = current_database()`
    return Number(row?.count)
  })
}

/** Per second, while nothing happens: head checks and the like. */
async function idleTransactions(database: BenchDatabase): Promise<number> {
  await setTimeout(STATISTICS_MS)
  const before = await transactions(database)
  const began = performance.now()
  await setTimeout(STATISTICS_MS * 2)
  return ((await transactions(database)) - before) / ((performance.now() - began) / 1_000)
}
