import type { Broadcast } from '../src/store/broadcasts.ts'
import { ADMIN_TOKEN, BackEnd } from '../test/support/back-end.ts'
import { until } from '../test/support/wait.ts'
import { atLeast, type Bench, type Figure, round } from './support/bench.ts'
import { measureSends, startSender, targetsOf } from './support/sending.ts'
import { randomPairs } from './support/world.ts'

const USERS = 200_000
const PAIRS = 6_400
const GOAL_PER_SECOND = 20_000
/** Sends may be slowed by half at most. */
const GOAL_RATIO = 0.5
const PATIENCE_MS = 180_000

/** An announcement into 200,000 inboxes, alone and while others send: users/s, and what the sends lose by it. */
export const broadcast: Bench = {
  name: 'broadcast',
  async run(context) {
    const conversations = randomPairs(USERS, PAIRS)
    const { gateway, world } = await context.boot({ users: USERS, conversations }, undefined, { ADMIN_TOKEN })
    const targets = await targetsOf(world, conversations)
    const sender = startSender(context)
    const backEnd = new BackEnd(gateway.url)
    const { connections, seconds } = context
    const job = { url: gateway.url, connections, seconds, targets }

    const alone = await announce(backEnd)
    const without = await measureSends(sender, gateway, job)
    const stop = new AbortController()
    const rates: number[] = []
    // One after the other, so that there is always one under way while sends are measured.
    const announcing = (async () => {
      while (!stop.signal.aborted) rates.push(await announce(backEnd))
    })()
    const during = await measureSends(sender, gateway, job)
    stop.abort()
    await announcing
    const ratio = during.perSecond / without.perSecond
    const busy = rates[0] ?? 0
    const figures: Figure[] = [
      { what: 'broadcast to 200,000, alone: users/s', ...atLeast(GOAL_PER_SECOND, alone) },
      { what: `broadcast while ${connections} send: users/s`, value: round(busy) },
      {
        what: 'sends/s without / with it',
        value: `${round(without.perSecond)} / ${round(during.perSecond)}`,
      },
      {
        what: 'sends with it, of those without',
        value: round(ratio),
        goal: { text: `≥ ${GOAL_RATIO}`, met: ratio >= GOAL_RATIO },
      },
      {
        what: 'send p99 without / with it',
        value: `${round(without.latency.p99)} / ${round(during.latency.p99)} ms`,
      },
      {
        what: 'sends not answered 2xx',
        value: String(without.failed + during.failed),
        goal: { text: '0', met: without.failed + during.failed === 0 },
      },
    ]
    return figures
  },
}

/** Users/s of one broadcast, from the request to the last inbox. */
async function announce(backEnd: BackEnd): Promise<number> {
  const began = performance.now()
  const { body } = await backEnd.call<Broadcast>('POST', '/broadcasts', { text: 'Down at noon for an hour.' })
  const done = await until(
    'the broadcast',
    async () => {
      const now = (await backEnd.call<Broadcast>('GET', `/broadcasts/${body.id}`)).body
      return now.completed_at !== null && now
    },
    PATIENCE_MS,
  )
  return done.recipients_done / ((performance.now() - began) / 1_000)
}
