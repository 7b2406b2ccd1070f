import { seedArchive } from './support/archive.ts'
import { atMost, type Bench, type Figure, round } from './support/bench.ts'
import { timeRequests } from './support/requests.ts'

const CONVERSATIONS = 2_000
const MESSAGES = 50
const USERS = 1_000_000
const REQUESTS = 200
const GOAL_MS = 20

/** The conversation list of somebody with 2,000 conversations, and people found by the beginning of a name among a million. */
export const conversations: Bench = {
  name: 'conversations',
  async run(context) {
    const plan = Array.from({ length: CONVERSATIONS }, (_, n) => [0, n + 1])
    const sizes = plan.map(() => MESSAGES)
    const { gateway, world } = await context.boot({ users: USERS, conversations: plan }, (database, seeded) =>
      seedArchive(database, seeded, { sizes, months: 24, searchable: false }, context.progress),
    )
    const token = await world.tokenOf(0)
    const measure = async (what: string, path: string): Promise<Figure> => {
      const requests = Array.from({ length: REQUESTS }, () => ({ path, token }))
      await timeRequests(gateway.url, requests.slice(0, 10))
      const { p50, p99 } = await timeRequests(gateway.url, requests)
      return { what: `${what}: p50`, ...atMost(GOAL_MS, p50, 'ms'), note: `p99 ${round(p99)} ms` }
    }
    return [
      await measure('list of 2,000 conversations, first 50', '/v1/conversations'),
      await measure('list of 2,000 conversations, first 100', '/v1/conversations?limit=100'),
      await measure('one of 1,000,000 people by one letter', '/v1/users?query=b'),
      await measure('one of 1,000,000 people by a name', '/v1/users?query=bench-user-000012'),
    ]
  },
}
