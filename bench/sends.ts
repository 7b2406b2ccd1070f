import type { Bench } from './support/bench.ts'
import { measureSends, sendFigures, startSender, targetsOf } from './support/sending.ts'
import { randomPairs } from './support/world.ts'

const USERS = 10_000
const PAIRS = 6_400
/** For 64 connections; more of them wait longer by design, and are measured for comparison. */
const GOALS = { connections: 64, perSecond: 6_000, p99: 25 }

/** Durable sends into direct conversations, each request another conversation. */
export const sends: Bench = {
  name: 'sends',
  async run(context) {
    const conversations = randomPairs(USERS, PAIRS)
    const { gateway, world } = await context.boot({ users: USERS, conversations })
    const targets = await targetsOf(world, conversations)
    const sender = startSender(context)
    const { connections, seconds } = context
    const run = await measureSends(sender, gateway, { url: gateway.url, connections, seconds, targets })
    return sendFigures('sends', connections, run, GOALS)
  },
}
