import type { Bench } from './support/bench.ts'
import { measureSends, sendFigures, startSender, targetsOf } from './support/sending.ts'
import { randomMembers } from './support/world.ts'

const USERS = 10_000
const GROUPS = 256
const MEMBERS = 100
const GOALS = { connections: 64, perSecond: 400 }

/** Durable sends into groups of a hundred: a hundred inbox rows each. */
export const groups: Bench = {
  name: 'groups',
  async run(context) {
    const conversations = Array.from({ length: GROUPS }, () => randomMembers(USERS, MEMBERS))
    const { gateway, world } = await context.boot({ users: USERS, conversations })
    const targets = await targetsOf(world, conversations)
    const sender = startSender(context)
    const { connections, seconds } = context
    const run = await measureSends(sender, gateway, { url: gateway.url, connections, seconds, targets })
    return sendFigures('groups of 100', connections, run, GOALS)
  },
}
