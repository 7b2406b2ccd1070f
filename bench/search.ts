import { hundredth, rare, seedArchive, tenth, thousandth } from './support/archive.ts'
import { atMost, type Bench, type Figure, round } from './support/bench.ts'
import { countCpu } from './support/cpu.ts'
import type { Gateway } from './support/gateway.ts'
import { type BenchRequest, timeRequests } from './support/requests.ts'

const MONTHS = 24
const GOAL_MS = 50
const REQUESTS = 100

/** User 0 has five conversations, one of them with 100,000 messages; user 1 has 2,000; a million in all. */
function plan() {
  const conversations: number[][] = []
  const sizes: number[] = []
  const add = (count: number, size: number, membersOf: (n: number) => number[]) => {
    for (let n = 0; n < count; n += 1) {
      conversations.push(membersOf(n))
      sizes.push(size)
    }
  }
  add(1, 100_000, () => [0, 2])
  add(4, 1_000, (n) => [0, 3 + n])
  add(2_000, 200, (n) => [1, 10 + n])
  add(1_000, 496, (n) => [2, 3_000 + n])
  return { conversations, sizes }
}

const WORDS: Record<string, (n: number) => string> = {
  'a rare word': (n) => `"${rare(n * 31)}"`,
  'a word in a thousandth': (n) => thousandth(n % 8),
  'a word in a hundredth': (n) => hundredth(n % 8),
  'a word in a tenth': (n) => tenth(n % 8),
  'two words in a tenth': (n) => `${tenth(n % 8)} ${tenth((n + 3) % 8)}`,
  'a phrase and a rare word': (n) => `"train is late" "${rare(n * 7)}"`,
  'a beginning of hundreds of words': (n) => `rare${10 + (n % 90)}`,
}

/** A page of 20 over a million messages of two years. */
export const search: Bench = {
  name: 'search',
  async run(context) {
    const { conversations, sizes } = plan()
    const { gateway, world } = await context.boot({ users: 6_000, conversations }, (database, seeded) =>
      seedArchive(database, seeded, { sizes, months: MONTHS, searchable: true }, context.progress),
    )
    const whose = [
      { who: '5 conversations', user: 0, more: '' },
      { who: 'one of 100,000 messages', user: 0, more: `&conversation_id=${world.conversationIds[0]}` },
      { who: '2,000 conversations', user: 1, more: '' },
    ]
    const figures: Figure[] = []
    for (const { who, user, more } of whose) {
      const token = await world.tokenOf(user)
      for (const [what, wordOf] of Object.entries(WORDS)) {
        const path = (n: number) => `/v1/search?query=${encodeURIComponent(wordOf(n))}${more}`
        figures.push(await measure(`search, ${who}: ${what}`, gateway, (n) => ({ path: path(n), token })))
      }
      const best = (n: number) => ({ path: `/v1/search?order=rank&query=${tenth(n % 8)}${more}`, token })
      figures.push(await measure(`search, ${who}: the best of a word in a tenth`, gateway, best))
    }
    return figures
  },
}

async function measure(
  what: string,
  gateway: Gateway,
  requestOf: (n: number) => BenchRequest,
): Promise<Figure> {
  const { url, pid, database } = gateway
  const warmUp = Array.from({ length: 8 }, (_, n) => requestOf(n))
  await timeRequests(url, warmUp)
  const stopCounting = countCpu({ gateway: pid, database, load: [] })
  const { p50, p99 } = await timeRequests(
    url,
    Array.from({ length: REQUESTS }, (_, n) => requestOf(n)),
  )
  const cpu = stopCounting()
  const each = round(((cpu.gateway + cpu.postgres) / REQUESTS) * 1_000)
  const others = Math.round((cpu.others / cpu.wall) * 100)
  const note = `p99 ${round(p99)} ms; CPU ${each} ms each; others had ${others} % of a core`
  return { what: `${what}: p50`, ...atMost(GOAL_MS, p50, 'ms'), note }
}
