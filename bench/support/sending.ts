import type { SenderTasks, SendJob, SendReport } from '../load/sender.ts'
import { atLeast, type BenchContext, type Figure, round } from './bench.ts'
import { type CpuUse, coresNote, countCpu } from './cpu.ts'
import type { Gateway } from './gateway.ts'
import { startWorker, type Worker } from './worker.ts'
import type { World } from './world.ts'

const WARM_UP_SECONDS = 4

export type SendRun = SendReport & { cpu: CpuUse; perSecond: number }

export function startSender(context: Pick<BenchContext, 'use'>): Worker<SenderTasks> {
  return context.use(startWorker<SenderTasks>(new URL('../load/sender.ts', import.meta.url)))
}

/** A sender for each conversation: one of its members, with a token. */
export async function targetsOf(world: World, conversations: readonly (readonly number[])[]) {
  const tokens = new Map<number, string>()
  return Promise.all(
    conversations.map(async ([sender = 0], index) => {
      const token = tokens.get(sender) ?? (await world.tokenOf(sender))
      tokens.set(sender, token)
      return { conversation: world.conversationIds[index] ?? '', token }
    }),
  )
}

/** Warms up, then sends while counting CPU time. `beside` are other load processes; `onBegin` is between the two. */
export async function measureSends(
  sender: Worker<SenderTasks>,
  gateway: Gateway,
  job: SendJob,
  beside: readonly number[] = [],
  onBegin: () => Promise<void> = async () => {},
): Promise<SendRun> {
  await sender.ask('run', { ...job, seconds: WARM_UP_SECONDS })
  await onBegin()
  const stopCounting = countCpu({
    gateway: gateway.pid,
    database: gateway.database,
    load: [sender.pid, ...beside],
  })
  const report = await sender.ask('run', job)
  return { ...report, cpu: stopCounting(), perSecond: report.created / report.seconds }
}

/** What to reach with so many connections. */
export type SendGoals = { connections: number; perSecond: number; p99?: number }

/** The lines about one run of a sender. */
export function sendFigures(name: string, connections: number, run: SendRun, goals: SendGoals): Figure[] {
  const { latency, cpu, created, failed } = run
  const title = `${name}, ${connections} connections`
  const reach = connections === goals.connections ? goals : undefined
  const per1000 = (seconds: number) => `${round((seconds / created) * 1_000_000)} ms`
  return [
    {
      what: `${title}: messages/s`,
      ...(reach ? atLeast(reach.perSecond, run.perSecond) : { value: round(run.perSecond) }),
      note: coresNote(cpu),
    },
    {
      what: `${title}: p50 / p99 / max`,
      value: `${round(latency.p50)} / ${round(latency.p99)} / ${round(latency.max)} ms`,
      ...(reach?.p99 !== undefined && {
        goal: { text: `p99 ≤ ${reach.p99} ms`, met: latency.p99 <= reach.p99 },
      }),
    },
    { what: `${title}: not answered 2xx`, value: String(failed), goal: { text: '0', met: failed === 0 } },
    {
      what: `${title}: CPU per 1,000, gateway / Postgres`,
      value: `${per1000(cpu.gateway)} / ${per1000(cpu.postgres)}`,
    },
  ]
}
