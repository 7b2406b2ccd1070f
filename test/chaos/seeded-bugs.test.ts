import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JAVASCRIPT_BUGS } from './bugs/javascript.ts'
import { SQL_BUGS } from './bugs/sql.ts'
import { check, type Verdict } from './checker/check.ts'
import type { Violation } from './checker/violation.ts'
import type { Transport } from './history/device-log.ts'
import type { Kinds } from './nemesis/nemesis.ts'
import { countOf } from './report.ts'
import { runCampaign } from './run-campaign.ts'
import { type Ground, World } from './world/world.ts'

const SEED = 7
/** A race that there was no time for in one run may happen in the next. */
const RUNS = 3
const SECONDS = 4
/** Of the run without a bug: Postgres is away for some of it. */
const SECONDS_WITHOUT = 8

type Bug = keyof typeof SQL_BUGS | (typeof JAVASCRIPT_BUGS)[number]
/** What shows a bug, where the usual short run does not. */
type Provocation = {
  transports?: Partial<Record<Transport, number>>
  seconds?: number
  /** Who comes back often reads the log often. */
  isFaithful?: true
  faults?: Kinds
}

/** Which promise each bug breaks at least, and what provokes it. */
const BUGS: Record<Bug, { breaks: Violation['promise']; provoked?: Provocation }> = {
  'inbox ids from a sequence': { breaks: 'P3' },
  'heads not locked': { breaks: 'P3' },
  'heads locked in random order': { breaks: 'P7' },
  'no membership check': { breaks: 'P6' },
  'members read before the conversation is locked': { breaks: 'P6' },
  'keys looked up before the conversation is locked': { breaks: 'P2' },
  'commits that do not wait for the disk': {
    breaks: 'P1',
    provoked: { faults: { kills: [], others: ['Postgres restarted'] }, seconds: 7 },
  },
  'no gap check': { breaks: 'P3', provoked: { transports: { sse: 1, 'long-poll': 1 } } },
  'the log read before subscribing': { breaks: 'P3' },
  'swallowed publishes': { breaks: 'P7', provoked: { transports: { sse: 1 }, isFaithful: true, seconds: 7 } },
  'a poll whose cursor runs ahead': { breaks: 'P3', provoked: { transports: { poll: 1 } } },
}

let ground: Ground
const parts = new AsyncDisposableStack()
let databases = 0

beforeAll(async () => {
  ground = await World.prepare({ nats: true, replication: 'none' }, parts)
})

afterAll(async () => {
  await parts.disposeAsync()
})

/** A short campaign over a database of its own. */
async function runShortly(
  bug: string | undefined,
  { transports, isFaithful, faults, seconds = SECONDS }: Provocation = {},
): Promise<Verdict & { deliveries: number }> {
  databases += 1
  const database = `bug_${databases}`
  await ground.postgres.primary.run(`CREATE DATABASE ${database} OWNER longwave`)
  await using world = await World.over(ground, database, { nodes: 2, bug })
  const sql = ground.postgres.primary.connect(database)
  for (const statement of SQL_BUGS[bug as keyof typeof SQL_BUGS] ?? []) await sql.unsafe(statement)
  await sql.end()
  const stayMs = isFaithful ? { low: 10_000, high: 10_000 } : { low: 300, high: 1_500 }
  const habits = { stayMs, ...(transports && { transports }) }
  const history = await runCampaign(world, {
    seed: SEED + databases,
    seconds,
    census: { people: 8, devicesEach: 2, groups: 5, groupSize: [4, 6], directs: 3, habits },
    activity: {
      sendsPerSecond: 120,
      mix: { single: 60, batch: 2, twice: 30, 'key reused': 5, 'given up': 3, 'from outside': 5 },
      churnEveryMs: 40,
      marksEveryMs: 100,
    },
    faults: faults ?? { kills: [], others: [] },
  })
  return { ...check(history), deliveries: countOf(history).deliveries }
}

describe('the checker', { timeout: 90_000 }, () => {
  test('finds nothing where nothing is wrong', async () => {
    const { violations, deliveries } = await runShortly(undefined, {
      seconds: SECONDS_WITHOUT,
      faults: { kills: [], others: ['Postgres restarted'] },
    })
    expect(violations).toEqual([])
    expect(deliveries).toBeGreaterThan(1_000)
  })

  test.each(Object.entries(BUGS))('finds: %s', async (bug, { breaks, provoked }) => {
    const broken = new Set<string>()
    for (let runs = 0; runs < RUNS && !broken.has(breaks); runs += 1) {
      const { violations } = await runShortly(bug, provoked)
      const found = Map.groupBy(violations, ({ promise, what }) => `${promise} ${what}`)
      console.log(`${bug}: ${[...found].map(([kind, of]) => `${kind} (${of.length})`).join(', ')}`)
      for (const { promise } of violations) broken.add(promise)
    }
    expect(broken).toContain(breaks)
  })
})
