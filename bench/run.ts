import { parseArgs } from 'node:util'
import { NatsServer } from '../test/support/nats-server.ts'
import { broadcast } from './broadcast.ts'
import { conversations } from './conversations.ts'
import { counts } from './counts.ts'
import { failover } from './failover.ts'
import { fanout } from './fanout.ts'
import { groups } from './groups.ts'
import { history } from './history.ts'
import { idle } from './idle.ts'
import { latency } from './latency.ts'
import { longPoll } from './long-poll.ts'
import { nodes } from './nodes.ts'
import { presence } from './presence.ts'
import { push } from './push.ts'
import { search } from './search.ts'
import { sends } from './sends.ts'
import type { Bench, BenchContext, Figure, Fill } from './support/bench.ts'
import { createDatabase } from './support/database.ts'
import { type Gateway, startGateway } from './support/gateway.ts'
import { machineLine, markdownTable, plainTable } from './support/report.ts'
import { seedWorld, type WorldPlan } from './support/world.ts'

const BENCHES: readonly Bench[] = [
  sends,
  groups,
  fanout,
  idle,
  latency,
  longPoll,
  nodes,
  failover,
  counts,
  presence,
  push,
  broadcast,
  search,
  history,
  conversations,
]
/** A bench that hangs is ended after this and what it measures. */
const PATIENCE_MS = 480_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '15' },
    connections: { type: 'string', default: '64' },
    markdown: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
})
const seconds = positive('seconds', values.seconds)
const connections = positive('connections', values.connections)
const chosen = positionals.length === 0 ? BENCHES : positionals.map(benchNamed)
let postgres = 'unknown'

const figures: Figure[] = []
for (const bench of chosen) figures.push(...(await runOne(bench)))
process.stdout.write(`\n${machineLine(postgres)}\n\n`)
process.stdout.write(`${values.markdown ? markdownTable(figures) : plainTable(figures)}\n`)
if (figures.some(({ goal }) => goal?.met === false)) process.exitCode = 2

/** Runs one bench; whatever way it ends, nothing of it goes on. */
async function runOne(bench: Bench): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack()
  const progress = (text: string) => process.stderr.write(`${bench.name}: ${text}\n`)
  const interrupted = new Promise<never>((_, reject) => {
    const stop = (why: string) => () => reject(new Error(`${bench.name}: ${why}`))
    const timer = setTimeout(stop('took too long'), PATIENCE_MS + seconds * 10_000)
    const onSignal = stop('interrupted')
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
    stack.defer(() => {
      clearTimeout(timer)
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    })
  })
  /** What is ready only when its bench was interrupted ends at once. */
  const keep = async <T extends AsyncDisposable>(starting: Promise<T>): Promise<T> => {
    const resource = await starting
    if (!stack.disposed) return stack.use(resource)
    await resource[Symbol.asyncDispose]()
    throw new Error(`${bench.name} was interrupted`)
  }
  const nodeFlags = values.profile ? ['--cpu-prof', `--cpu-prof-dir=${values.profile}`] : []
  const seed = async (plan: WorldPlan, isShared: boolean, owner: AsyncDisposableStack, fill?: Fill) => {
    progress('seeding')
    const starting = createDatabase(process.env.BENCH_DATABASE_URL, isShared)
    const database = owner === stack ? await keep(starting) : owner.use(await starting)
    const world = await database.with(async (opened) => {
      const [row] = await opened.sql<{ server_version: string }[]>`SHOW server_version`
      postgres = row?.server_version ?? postgres
      const seeded = await seedWorld(opened, plan)
      await fill?.(opened, seeded)
      return seeded
    })
    return { database, world }
  }
  const context: BenchContext = {
    seconds,
    connections,
    progress,
    use: (resource) => stack.use(resource),
    async boot(plan, fill, settings = {}) {
      const { database, world } = await seed(plan, false, stack, fill)
      const gateway = await keep(
        startGateway({ ...database.environment, ...settings }, database.name, nodeFlags),
      )
      progress('measuring')
      return { gateway, world }
    },
    async bootNodes(plan, { count, withNats, environment: more }, owner) {
      const { database, world } = await seed(plan, true, owner)
      const nats = withNats ? owner.use(await NatsServer.start()) : undefined
      const environment = { ...database.environment, NATS_URL: nats?.url() ?? '', ...more }
      const gateways: Gateway[] = []
      while (gateways.length < count) {
        gateways.push(owner.use(await startGateway(environment, database.name, nodeFlags)))
      }
      progress('measuring')
      return { gateways, world, database }
    },
  }
  return await Promise.race([bench.run(context), interrupted])
}

function benchNamed(name: string): Bench {
  const bench = BENCHES.find((each) => each.name === name)
  if (bench) return bench
  const names = BENCHES.map((each) => each.name).join(', ')
  process.stderr.write(`There is no bench "${name}": choose from ${names}\n`)
  process.exit(1)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  process.stderr.write(`--${name} must be a whole number above 0, not "${text}"\n`)
  process.exit(1)
}
