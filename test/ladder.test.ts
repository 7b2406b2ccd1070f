import { describe, expect, test } from 'vitest'
import type { Rung } from '../src/client/ladder/rungs.ts'
import { step } from '../src/client/ladder/step.ts'
import { type Box, CLEAN } from './ladder/box.ts'
import { broken, brokenSteady, restarts, roughJourney, steadyJourney } from './ladder/journeys.ts'
import { Traveller } from './ladder/traveller.ts'

const SEEDS = 300
const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1)

/** What is broken by which seed: a seed plays the same journey again. */
function findings(check: (seed: number) => string[]): string[] {
  return seeds.flatMap((seed) => check(seed).map((what) => `seed ${seed}: ${what}`))
}

function arrive(box: Partial<Box>, minutes = 3, remembered?: Rung, everyMs = 2_300): Traveller {
  const traveller = new Traveller(1, { ...CLEAN, ...box }, { remembered })
  for (let at = 0; at < minutes * 60_000; at += everyMs) traveller.clock.at(at, () => traveller.commit())
  traveller.clock.runUntil(minutes * 60_000)
  return traveller
}

describe('simulated networks', () => {
  test('L1, L5, L6, L7: behind any steady box every event comes once, in order, in time, without flapping', () => {
    expect(findings((seed) => brokenSteady(steadyJourney(seed)))).toEqual([])
  }, 60_000)

  test('L1, L7: nor do restarts and outages lose an event, or make attempts unbounded', () => {
    expect(findings((seed) => broken(roughJourney(seed)))).toEqual([])
  }, 60_000)

  test('L4, L9: restarts and outages without a box send nobody down the ladder', () => {
    const rungs = seeds.flatMap((seed) => [restarts(seed), roughJourney(seed, step, CLEAN)])
    expect(rungs.map((each) => each.rungs.map(({ rung }) => rung).join(' '))).toEqual(
      rungs.map(() => 'long-poll sse'),
    )
  }, 60_000)

  test.each<[string, Partial<Box>, Rung]>([
    ['nothing', {}, 'sse'],
    ['a box that refuses event streams', { refuses: ['sse'] }, 'sse-disguised'],
    ['a box that holds event streams back', { holds: ['sse'] }, 'sse-disguised'],
    ['a box that holds all streams back', { holds: ['sse', 'octet'] }, 'sse-slices'],
    ['a box one event behind', { isOneBehind: true }, 'sse-slices'],
    ['a box that refuses all streams', { refuses: ['sse', 'octet'] }, 'long-poll'],
    ['a box that refuses GETs', { refusesGets: true }, 'sse-disguised'],
    ['a box that cuts at 30 s', { cutAge: 30_000 }, 'sse'],
    ['a box that drops idle flows after 30 s', { idleDrop: 30_000 }, 'sse'],
    ['a slow link', { latency: 600 }, 'sse'],
    [
      'a box that cuts all at 12 s and refuses streams',
      { cutAge: 12_000, refuses: ['sse', 'octet'] },
      'long-poll',
    ],
    ['a box that cuts all at 3 s and refuses streams', { cutAge: 3_000, refuses: ['sse', 'octet'] }, 'poll'],
  ])('behind %s', (_, box, rung) => {
    // Too few for a cut poll to bring one by chance.
    const [minutes, everyMs] = rung === 'poll' ? [6, 40_000] : [3, 2_300]
    const { state, delivered, network } = arrive(box, minutes, undefined, everyMs)
    expect(state.rung).toBe(rung)
    expect(delivered.length).toBeGreaterThan(network.head - 5)
  })

  test('L2: where nothing is known the first message waits for no probe', () => {
    const { lags } = arrive({ holds: ['sse', 'octet'] }, 0.1)
    expect(Math.max(...lags)).toBeLessThan(1_000)
  })

  test('L11: a stream that is cut at one age is renewed before it', () => {
    const { failed, opened } = arrive({ cutAge: 30_000 }, 10)
    expect(failed.length).toBeLessThan(5)
    expect(opened.filter(({ rung }) => rung === 'sse').length).toBeGreaterThan(20)
  })

  test('a remembered rung is tried first, and given up if it is unfit here', () => {
    expect(arrive({}, 1, 'sse-disguised').opened[0]?.rung).toBe('sse-disguised')
    const refused = arrive({ refuses: ['sse'] }, 3, 'sse')
    expect(refused.rungs.map(({ rung }) => rung)).toEqual(['sse', 'long-poll', 'sse-disguised'])
    expect(Math.max(...refused.lags)).toBeLessThan(3_000)
  })

  test('L10: probes double from a minute to an hour', () => {
    const { opened } = arrive({ refuses: ['sse', 'octet'] }, 240)
    const climbs = opened
      .filter(({ rung }) => rung === 'sse')
      .filter(({ at }, index, all) => at - (all[index - 1]?.at ?? -60_000) > 40_000)
    expect(climbs.length).toBeGreaterThan(5)
    expect(climbs.length).toBeLessThan(20)
  })
})

describe('bugs put into the machine are found', () => {
  const changed = (change: (...args: Parameters<typeof step>) => ReturnType<typeof step>) => change
  const steady = (machine: typeof step) => findings((seed) => brokenSteady(steadyJourney(seed, machine)))
  const rough = (machine: typeof step) => findings((seed) => broken(roughJourney(seed, machine)))

  test('a stream is never suspected', () => {
    const bug = changed((state, ...rest) => {
      const stream = { ...state.stream, heardAt: rest[1] }
      const [next, effects] = step({ ...state, stream }, ...rest)
      return [{ ...next, owed: undefined, witnessAt: Number.MAX_SAFE_INTEGER }, effects]
    })
    expect(steady(bug).join()).toMatch(/L1|L5/)
  })

  test('there is no back-off', () => {
    const bug = changed((state, input, now) => {
      const [next, effects] = step({ ...state, failures: [] }, input, now, () => 0)
      return [next, effects]
    })
    expect(steady(bug).join() + rough(bug).join()).toContain('L7')
  })

  test('a rung is settled on at once, and again at once', () => {
    const bug = changed((state, ...rest) => {
      const stream = { ...state.stream, provenAt: 0 }
      const [next, effects] = step(
        { ...state, stream, changedAt: Number.NEGATIVE_INFINITY, climbs: 0 },
        ...rest,
      )
      return [next, effects]
    })
    expect(steady(bug).join()).toContain('L6')
  })

  test('nothing is ever asked by POST', () => {
    const bug = changed((state, ...rest) => step({ ...state, isPosting: false }, ...rest))
    expect(steady(bug).join()).toMatch(/L1/)
  })

  test('a poll that hangs is waited for', () => {
    const bug = changed((state, ...rest) => {
      const poll = state.poll.phase === 'asking' ? { ...state.poll, heardAt: rest[1] } : state.poll
      return step({ ...state, poll }, ...rest)
    })
    expect([...steady(bug), ...rough(bug)].join()).toMatch(/L1|L5/)
  })

  test('faults are believed that no poll confirmed', () => {
    const bug = changed((state, ...rest) => {
      const [next, effects] = step({ ...state, poll: { ...state.poll, failures: 0 } }, ...rest)
      return [{ ...next, pending: next.pending ?? state.pending }, effects]
    })
    const rungs = seeds.flatMap((seed) => restarts(seed, bug).rungs.slice(2))
    expect(rungs).not.toEqual([])
  })
})
