import type { step } from '../../src/client/ladder/step.ts'
import { anyBox, type Box, CLEAN } from './box.ts'
import { randomOf } from './clock.ts'
import { mostInAMinute, Traveller } from './traveller.ts'

const MINUTE = 60_000
/** No event is later than a long-poll that vanished, its time-out, and what comes after. */
const LATEST_MS = 45_000

/** A burst, and then two lanes at one in about four seconds each. */
const MOST_FAILURES = 44

type Machine = typeof step

/** Ten minutes behind one box that does what it does all the time, with bursts of events and pauses. */
export function steadyJourney(seed: number, machine?: Machine): Traveller {
  const random = randomOf(seed * 7_919)
  return travel(new Traveller(seed, anyBox(random), {}, machine), random)
}

/** The same, while the server is restarted and the network goes away again and again. */
export function roughJourney(seed: number, machine?: Machine, box?: Box): Traveller {
  const random = randomOf(seed * 104_729)
  const traveller = new Traveller(seed, box ?? anyBox(random), {}, machine)
  const { clock, network } = traveller
  for (let at = 30_000; at < 9 * MINUTE; at += 40_000 + random() * 60_000) {
    const [kind, ms] = [random(), random() * 30_000]
    clock.at(at, () => {
      if (kind < 0.4) network.restart(ms / 6, kind < 0.2)
      else network.outage(kind < 0.7 ? 'lost' : 'refused', ms)
    })
  }
  return travel(traveller, random)
}

/** A server that is restarted thirty times, behind nothing that would do harm. */
export function restarts(seed: number, machine?: Machine): Traveller {
  const random = randomOf(seed * 1_299_709)
  const traveller = new Traveller(seed, CLEAN, {}, machine)
  for (let restart = 1; restart <= 30; restart++) {
    const [downMs, isKind] = [random() * 8_000, random() < 0.5]
    traveller.clock.at(20_000 * restart, () => traveller.network.restart(downMs, isKind))
  }
  return travel(traveller, random)
}

function travel(traveller: Traveller, random: () => number): Traveller {
  for (let at = 0; at < 10 * MINUTE; at += random() < 0.3 ? random() * 300 : random() * 20_000) {
    traveller.clock.at(at, () => traveller.commit())
  }
  traveller.clock.runUntil(12 * MINUTE)
  return traveller
}

/** What a journey broke of what is promised whatever happens. */
export function broken({ delivered, failed, network, opened }: Traveller): string[] {
  const broken: string[] = []
  if (delivered.some((id, index) => id !== index + 1)) broken.push('L1: out of order, or twice')
  if (delivered.length !== network.head) broken.push(`L1: ${delivered.length} of ${network.head} delivered`)
  const failures = mostInAMinute(failed)
  if (failures > MOST_FAILURES) broken.push(`L7: ${failures} failures in a minute`)
  const attempts = mostInAMinute(opened.map(({ at }) => at))
  if (attempts > 100) broken.push(`L7: ${attempts} attempts in a minute`)
  return broken
}

/** What it broke of what is promised besides where a box is steady. */
export function brokenSteady(traveller: Traveller): string[] {
  const all = broken(traveller)
  const changes = mostInAMinute(traveller.rungs.slice(1).map(({ at }) => at))
  if (changes > 2) all.push(`L6: ${changes} changes of rung in a minute`)
  const latest = Math.max(...traveller.lags)
  if (latest > LATEST_MS) all.push(`L5: an event came ${Math.round(latest)} ms late`)
  return all
}
