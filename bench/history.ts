import { type HistoryAnchor, readHistory } from '../src/store/messages.ts'
import { seedArchive } from './support/archive.ts'
import { atMost, type Bench, type Figure, round } from './support/bench.ts'
import { Durations, type Percentiles } from './support/percentile.ts'
import { timeRequests } from './support/requests.ts'
import type { World } from './support/world.ts'

const MONTHS = 30
const GOAL_MS = 5
const REQUESTS = 400
const LIMIT = 50
const USERS = 8_000
const KINDS = ['latest', 'before', 'after', 'around'] as const

/** 200 conversations of 20,000 messages, 2,000 of 2,000, 40,000 of 50: ten million. */
const SIZES = [...Array(200).fill(20_000), ...Array(2_000).fill(2_000), ...Array(40_000).fill(50)] as number[]
const CONVERSATIONS = SIZES.map((_, n) => [n % (USERS / 2), USERS / 2 + (n % (USERS / 2 - 1))])

/** Pages of 50 from random places of random conversations, with ten million messages in the table. */
export const history: Bench = {
  name: 'history',
  async run(context) {
    const figures: Figure[] = []
    const { gateway, world } = await context.boot(
      { users: USERS, conversations: CONVERSATIONS },
      async (database, seeded) => {
        await seedArchive(
          database,
          seeded,
          { sizes: SIZES, months: MONTHS, searchable: false },
          context.progress,
        )
        // One connection: what is measured is the database and its driver, not a wait for a connection.
        const sql = database.connect('longwave bench history', 1)
        for (const kind of KINDS) {
          const durations = new Durations()
          for (const { conversation, user, seq } of places(seeded)) {
            const asked = performance.now()
            const anchor: HistoryAnchor = kind === 'latest' ? { kind } : { kind, seq }
            await readHistory(sql, { user, conversation, anchor, limit: LIMIT })
            durations.add(performance.now() - asked)
          }
          const what = `history, 10 million messages: page ${kind}, Postgres and driver`
          figures.push(figure(what, durations.summary()))
        }
        await sql.end({ timeout: 2 })
      },
    )
    for (const kind of KINDS) {
      const requests = places(world).map(async ({ conversation, index, seq }) => ({
        path: `/v1/conversations/${conversation}/messages?limit=${LIMIT}${kind === 'latest' ? '' : `&${kind}_seq=${seq}`}`,
        token: await world.tokenOf(index),
      }))
      const { p50, p99 } = await timeRequests(gateway.url, await Promise.all(requests))
      const value = `${round(p50)} / ${round(p99)} ms`
      figures.push({ what: `history, 10 million messages: page ${kind}, answered, p50 / p99`, value })
    }
    return figures
  },
}

function figure(what: string, { p50, p99 }: Percentiles): Figure {
  return { what: `${what}, p50`, ...atMost(GOAL_MS, p50, 'ms'), note: `p99 ${round(p99)} ms` }
}

/** Half of them in the few conversations that are large. */
function places(world: World) {
  return Array.from({ length: REQUESTS }, (_, n) => {
    const index = Math.floor(Math.random() * (n % 2 === 0 ? SIZES.length : 2_200))
    const sender = CONVERSATIONS[index]?.[0] ?? 0
    return {
      index: sender,
      user: world.userIds[sender] ?? '',
      conversation: world.conversationIds[index] ?? '',
      seq: Math.ceil(Math.random() * (SIZES[index] ?? 1)),
    }
  })
}
