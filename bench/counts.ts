import { functionText, spoil } from '../test/support/sql-functions.ts'
import { atMost, type Bench, round } from './support/bench.ts'
import { measureSends, type SendRun, startSender, targetsOf } from './support/sending.ts'
import { randomPairs } from './support/world.ts'

const USERS = 10_000
const PAIRS = 6_400
const ROUNDS = 3
const GOAL_PERCENT = 10

const COUNTING = /UPDATE members m SET own_unread[\s\S]*?;\n/.exec(functionText('commit_sends'))?.[0] ?? ''

/** What keeping the unread counts right costs a send: the same gateway with it and without, in turn. */
export const counts: Bench = {
  name: 'counts',
  async run(context) {
    const conversations = randomPairs(USERS, PAIRS)
    await using stack = new AsyncDisposableStack()
    const plan = { users: USERS, conversations }
    const { gateways, world, database } = await context.bootNodes(plan, { count: 1, withNats: false }, stack)
    const [gateway] = gateways
    if (!gateway) throw new Error('no gateway')
    const targets = await targetsOf(world, conversations)
    const sender = startSender(stack)
    const { connections, seconds } = context
    const measure = async (text: string): Promise<SendRun> => {
      await database.with((opened) => opened.sql.unsafe(text))
      return measureSends(sender, gateway, { url: gateway.url, connections, seconds, targets })
    }
    const without: SendRun[] = []
    const counting: SendRun[] = []
    for (let each = 0; each < ROUNDS; each += 1) {
      without.push(await measure(spoil('commit_sends', [COUNTING, ''])))
      counting.push(await measure(functionText('commit_sends')))
    }
    const rates = [without, counting].map((runs) => middle(runs.map(({ perSecond }) => perSecond)))
    const cpu = [without, counting].map((runs) => middle(runs.map(cpuPer1000)))
    const [before = 0, after = 0] = rates
    return [
      { what: 'counts: messages/s without / with unread counts', value: rates.map(round).join(' / ') },
      { what: 'counts: CPU per 1,000, gateway and Postgres', value: `${cpu.map(round).join(' / ')} ms` },
      {
        what: 'counts: unread counts cost of the send rate',
        ...atMost(GOAL_PERCENT, (1 - after / before) * 100, '%'),
      },
    ]
  },
}

function cpuPer1000({ cpu, created }: SendRun): number {
  return ((cpu.gateway + cpu.postgres) / created) * 1_000_000
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
