import type { Box, Origin } from './box.ts'
import type { Finding } from './checks/finding.ts'
import { runChecks } from './checks/run-checks.ts'
import { takeJourney } from './journey.ts'
import { deviations } from './known.ts'
import { makeBox } from './lab.ts'
import { findingsTable, type Journeys, journeysTable } from './report.ts'
import { travellers } from './travellers/travellers.ts'

/** So many boxes at the same time leave two cores quiet enough for lags to be the boxes'. */
const AT_ONCE = 5
const PACE_MS = 100
/** On a line of 50 kbit/s a message and its answer alone take 300 ms. */
const SLOW_PACE_MS = 1_000
const LONGEST_PAUSE_S = 40
const PATIENCE_MS = 30_000

/** What is wanted: names as the lab, the checks and the travellers have them. */
export type Order = {
  boxes: readonly string[]
  checks: readonly string[]
  travellers: readonly string[]
  /** How long to watch what should stay. */
  seconds: number
  /** Each way, per journey. */
  messages: number
  /** Told a line whenever a box is done. */
  progress: (line: string) => void
}

/** Tries and travels all boxes ordered in front of the gateway of `origin`. */
export async function expedition(
  origin: Origin,
  order: Order,
): Promise<{ report: string; isAsKnown: boolean }> {
  const findings = new Map<string, Map<string, Finding>>()
  const journeys: Journeys = new Map()
  // The longest journey first.
  const waiting = order.boxes.toSorted((a, b) => paceOf(b) - paceOf(a))
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const travels = order.travellers.map(async (by) => [by, await travel(name, by, origin, order)] as const)
      const [found, ...outcomes] = await Promise.all([tryBox(name, origin, order), ...travels])
      findings.set(name, found)
      journeys.set(name, new Map(outcomes))
      order.progress(`${name} is done`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const strange = order.boxes.flatMap((name) => deviations(name, findings.get(name) ?? new Map()))
  const tables = [
    ...(order.checks.length > 0 ? [findingsTable(order.boxes, order.checks, findings)] : []),
    ...(order.travellers.length > 0 ? [journeysTable(order.boxes, journeys)] : []),
  ]
  return { report: [...tables, ...strange].join('\n\n'), isAsKnown: strange.length === 0 }
}

const paceOf = (name: string) => (name === 'slow-link' ? SLOW_PACE_MS : PACE_MS)

async function tryBox(name: string, origin: Origin, { checks, seconds }: Order) {
  return within(makeBox(name), origin, (box) => runChecks(box, origin, checks, seconds))
}

async function travel(name: string, by: string, gateway: Origin, { messages, seconds }: Order) {
  await using traveller = await travellers[by]?.(gateway)
  if (!traveller) throw new Error(`there is no traveller "${by}", but ${Object.keys(travellers).join(', ')}`)
  const itinerary = {
    messages,
    paceMs: paceOf(name),
    pauseMs: Math.min(seconds, LONGEST_PAUSE_S) * 1_000,
    patienceMs: PATIENCE_MS,
  }
  // Awaited here: the traveller's server goes when this function returns.
  return await within(makeBox(name), traveller.origin, (box) => takeJourney(box, traveller, itinerary))
}

async function within<T>(box: Box, origin: Origin, use: (box: Box) => Promise<T>): Promise<T> {
  await box.start(origin)
  try {
    return await use(box)
  } finally {
    await box.stop()
  }
}
