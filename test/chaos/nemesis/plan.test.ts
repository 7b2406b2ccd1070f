import { expect, test } from 'vitest'
import { Random } from '../random.ts'
import type { World } from '../world/world.ts'
import { KILL_KINDS, OTHER_KINDS } from './faults.ts'
import { plan } from './plan.ts'

const world = {
  nodes: [0, 1, 2],
  nats: { servers: [0, 1, 2] },
  postgres: { standby: {} },
} as unknown as World
const kinds = [...KILL_KINDS, ...OTHER_KINDS]

function take(count: number, seed: number, where = world) {
  const faults = plan(new Random(seed), where, kinds, [0, 1_000])
  return Array.from({ length: count }, () => faults.next().value)
}

const told = (faults: ReturnType<typeof take>) =>
  faults.map(({ kind, places, pauseMs, random }) => [kind, places, pauseMs, random.unit()])

test('a seed decides every fault: what, where, when, how long', () => {
  expect(told(take(100, 1))).toEqual(told(take(100, 1)))
  expect(told(take(100, 1))).not.toEqual(told(take(100, 2)))
})

test('every kind comes, but for those that have nothing to happen to', () => {
  expect(new Set(take(60, 1).map(({ kind }) => kind))).toEqual(new Set(kinds))
  const bare = { nodes: [0], nats: undefined, postgres: { standby: undefined } } as unknown as World
  const possible = new Set(take(60, 1, bare).map(({ kind }) => kind))
  expect([...possible].filter((kind) => /NATS|over/.test(kind))).toEqual([])
})
