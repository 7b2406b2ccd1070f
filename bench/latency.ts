import type { PacedTasks } from './load/paced.ts'
import { atMost, type Bench, round } from './support/bench.ts'
import { coresNote, countCpu } from './support/cpu.ts'
import { targetsOf } from './support/sending.ts'
import { startWorker } from './support/worker.ts'

const READERS = 200
const PER_SECOND = 1_000
const WARM_UP_SECONDS = 4
const GOAL_MS = 3

/** How soon a message is in the open streams of both who talk, at a steady rate. */
export const latency: Bench = {
  name: 'latency',
  async run(context) {
    const users = Array.from({ length: READERS }, (_, user) => user)
    const conversations = Array.from({ length: READERS / 2 }, (_, pair) => [pair * 2, pair * 2 + 1])
    const { gateway, world } = await context.boot({ users: READERS, conversations })
    const paced = context.use(startWorker<PacedTasks>(new URL('./load/paced.ts', import.meta.url)))
    const stopCounting = countCpu({ gateway: gateway.pid, database: gateway.database, load: [paced.pid] })
    const report = await paced.ask('run', {
      url: gateway.url,
      perSecond: PER_SECOND,
      seconds: context.seconds,
      warmUpSeconds: WARM_UP_SECONDS,
      readers: await Promise.all(users.map((user) => world.tokenOf(user))),
      targets: await targetsOf(world, conversations),
      receiversPerMessage: 2,
    })
    const { delivery, answer, lag, missing, failed } = report
    const title = `latency, ${round(PER_SECOND)} sends/s, ${READERS} streams`
    return [
      {
        what: `${title}: POST to event, p50`,
        ...atMost(GOAL_MS, delivery.p50, 'ms'),
        note: coresNote(stopCounting()),
      },
      {
        what: `${title}: POST to event, p99 / max`,
        value: `${round(delivery.p99)} / ${round(delivery.max)} ms`,
        note: `sender behind its schedule: p50 ${round(lag.p50)}, p99 ${round(lag.p99)} ms`,
      },
      { what: `${title}: POST to 201, p50 / p99`, value: `${round(answer.p50)} / ${round(answer.p99)} ms` },
      {
        what: `${title}: events missing / sends failed`,
        value: `${missing} / ${failed}`,
        goal: { text: '0 / 0', met: missing === 0 && failed === 0 },
      },
    ]
  },
}
