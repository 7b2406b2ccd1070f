import { setTimeout as pause } from 'node:timers/promises'
import type { Box, Origin } from './box.ts'
import { runChecks } from './checks/run-checks.ts'
import { type Outcome, takeJourney } from './journey.ts'
import { makeBox } from './lab.ts'
import type { Findings, Journeys } from './report.ts'
import { travellers } from './travellers/travellers.ts'

/** So many boxes at the same time leave two cores quiet enough for lags to be the boxes'. */
const AT_ONCE = 4
const STAGGER_MS = 3_000
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

/** What came of it, by box; what could not be tried has a sentence in `failures`. */
export type Expedition = { findings: Findings; journeys: Journeys; failures: readonly string[] }

/** Tries and travels all boxes ordered in front of the gateway of `origin`. */
export async function expedition(origin: Origin, order: Order): Promise<Expedition> {
  const findings: Findings = new Map()
  const journeys: Journeys = new Map()
  const failures: string[] = []
  const visit = async (name: string) => {
    const its: Map<string, Outcome> = new Map()
    journeys.set(name, its)
    // What fails of it leaves the rest its results.
    const part = (what: string, work: Promise<unknown>) =>
      work.catch((error: Error) => failures.push(`${name}, ${what}: ${error.message}`))
    const found = tryBox(name, origin, order).then((its) => findings.set(name, its))
    const travels = order.travellers.map((by) =>
      part(
        by,
        travel(name, by, origin, order).then((outcome) => its.set(by, outcome)),
      ),
    )
    await Promise.all([part('checks', found), ...travels])
    order.progress(`${name} is done`)
  }
  // The longest journey first.
  const waiting = order.boxes.toSorted((a, b) => paceOf(b) - paceOf(a))
  const work = async (_: unknown, index: number) => {
    // Not all at once: signing up is work, and would be seen in the others' first message.
    await pause(index * STAGGER_MS)
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await visit(name)
  }
  await Promise.all(Array.from({ length: AT_ONCE }).map(work))
  return { findings, journeys, failures }
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
