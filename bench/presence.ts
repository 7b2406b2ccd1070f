import { setTimeout } from 'node:timers/promises'
import type { PresenceWatcherTasks } from './load/presence-watchers.ts'
import { atMost, type Bench, type BenchContext, type Figure, round } from './support/bench.ts'
import { cpuSeconds, postgresPids } from './support/processes.ts'
import { startSender, targetsOf } from './support/sending.ts'
import { startWorker } from './support/worker.ts'
import { randomMembers, randomPairs } from './support/world.ts'

const USERS = 10_000
/** Each user has ten direct conversations and is in two groups of twenty: 48 people who watch. */
const PAIRS = 50_000
const GROUPS = 1_000
const GROUP_SIZE = 20
const QUIET_MS = 4_000
const PATIENCE_MS = 90_000
const ALL_TOLD_GOAL_S = 30

type Run = Awaited<ReturnType<typeof storm>>

/** Ten thousand people come at once to two nodes over NATS: what it costs that others see it, beside no presence. */
export const presence: Bench = {
  name: 'presence',
  async run(context) {
    const off = await storm(context, 'off')
    const on = await storm(context, 'on')
    const both = (pick: (run: Run) => string) => `${pick(on)}, without presence ${pick(off)}`
    const cpu = ({ gateways, postgres }: { gateways: number; postgres: number }) =>
      `${round(gateways)} s / ${round(postgres)} s`
    return [
      figure(
        'all streams open after',
        both((run) => `${round(run.openedMs / 1_000)} s`),
      ),
      {
        what: `presence storm, ${round(USERS)} people: all told after`,
        ...atMost(ALL_TOLD_GOAL_S, on.toldMs / 1_000, 's'),
        note: `${round(on.told)} presence.changed; of ${round(USERS)} people ${round(on.shown)} are shown as online`,
      },
      figure('a change to its watcher, p50 / p99', `${round(on.lags.p50)} / ${round(on.lags.p99)} ms`),
      figure(
        'CPU of both gateways / Postgres',
        both((run) => cpu(run.stormCpu)),
      ),
      figure(
        'a send meanwhile, p50 / p99 / max',
        both(
          ({ sent: { latency: each } }) => `${round(each.p50)} / ${round(each.p99)} / ${round(each.max)} ms`,
        ),
      ),
      {
        what: 'presence storm: sends not answered 2xx',
        value: String(on.sent.failed),
        goal: { text: '0', met: on.sent.failed === 0 },
      },
      figure(
        'then idle, CPU of both gateways / Postgres per 10 s',
        both((run) => cpu(run.idleCpu)),
      ),
    ]
  },
}

function figure(what: string, value: string): Figure {
  return { what: `presence storm: ${what}`, value }
}

async function storm(context: BenchContext, isOn: 'on' | 'off') {
  await using owner = new AsyncDisposableStack()
  const groups = Array.from({ length: GROUPS }, () => randomMembers(USERS, GROUP_SIZE))
  const pairs = randomPairs(USERS, PAIRS)
  const plan = { users: USERS, conversations: [...pairs, ...groups] }
  const nodes = { count: 2, withNats: true, environment: { PRESENCE: isOn } }
  const { gateways, world, database } = await context.bootNodes(plan, nodes, owner)
  const tokens = await Promise.all(Array.from({ length: USERS }, (_, user) => world.tokenOf(user)))
  const watchers = owner.use(
    startWorker<PresenceWatcherTasks>(new URL('./load/presence-watchers.ts', import.meta.url)),
  )
  const sender = startSender(owner)
  const targets = await targetsOf(world, pairs.slice(0, 500))
  const spent = () => ({
    gateways: gateways.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0),
    postgres: postgresPids(database.name).reduce((sum, pid) => sum + cpuSeconds(pid), 0),
  })
  context.progress(`the storm, presence ${isOn}`)
  const before = spent()
  const began = performance.now()
  const url = gateways[0]?.url ?? ''
  const sending = sender.ask('run', { url, connections: 1, seconds: context.seconds, targets })
  await watchers.ask('open', { urls: gateways.map((each) => each.url), tokens })
  const openedMs = performance.now() - began
  const sent = await sending
  const { toldMs, ...told } = await untilQuiet(watchers, began, isOn === 'on')
  const after = spent()
  const shown = await database.with(async ({ sql }) => {
    const [row] = await sql<{ count: string }[]>`SELECT count(*) FROM presence WHERE shown AND until > now()`
    return Number(row?.count)
  })
  const idleFrom = spent()
  await setTimeout(10_000)
  const stormCpu = less(after, before)
  return { openedMs, toldMs, ...told, shown, sent, stormCpu, idleCpu: less(spent(), idleFrom) }
}

type Cpu = { gateways: number; postgres: number }

function less(one: Cpu, other: Cpu): Cpu {
  return { gateways: one.gateways - other.gateways, postgres: one.postgres - other.postgres }
}

type Watchers = { ask(task: 'look', argument: null): Promise<Look> }
type Look = { open: number; told: number; quietMs: number; lags: { p50: number; p99: number; max: number } }

/** How long it took (ms) until the last change was told. */
async function untilQuiet(watchers: Watchers, began: number, isOn: boolean) {
  for (;;) {
    const seen = await watchers.ask('look', null)
    const now = performance.now()
    if (!isOn || seen.quietMs > QUIET_MS) return { ...seen, toldMs: now - began - (isOn ? seen.quietMs : 0) }
    if (now - began > PATIENCE_MS) throw new Error(`still ${seen.told} changes told and no end`)
    await setTimeout(100)
  }
}
