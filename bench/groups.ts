import type { Bench } from './support/bench.ts'
import { coresNote } from './support/cpu.ts'
import { measureSends, sendFigures, startSender, targetsOf } from './support/sending.ts'
import { randomMembers } from './support/world.ts'

const USERS = 10_000
const GROUPS = 256
const MEMBERS = 100

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
    const figures = sendFigures(`groups of 100, ${connections} connections`, run, { perSecond: 400 })
    return figures.map((figure, index) => (index === 0 ? { ...figure, note: coresNote(run.cpu) } : figure))
  },
}
