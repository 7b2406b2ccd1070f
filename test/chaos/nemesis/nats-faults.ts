import type { Random } from '../random.ts'
import type { World } from '../world/world.ts'
import { aNode, type Fault, nodeOf, type Place } from './fault.ts'

const allNats = (_: Random, world: World): Place[] => {
  return (world.nats?.servers ?? []).map((_, index): Place => `nats ${index}`)
}

/** What may happen to NATS as a whole, and to the way there. */
export const NATS_FAULTS: Record<string, Fault> = {
  'NATS gone': {
    cards: 1,
    kills: 3,
    needs: 'nats',
    places: allNats,
    async run({ world, random, hold }) {
      const servers = world.nats?.servers ?? []
      for (const server of servers) await server.kill()
      await hold(random.between(3_000, 10_000))
      for (const server of servers) await server.restart()
    },
  },
  'NATS cluster parted': {
    cards: 2,
    kills: 0,
    needs: 'nats',
    places: allNats,
    async run({ world, random, hold }) {
      world.nats?.part(random.below(3), random.pick(['cut', 'hang']))
      await hold(random.between(3_000, 10_000))
      world.nats?.rejoin()
    },
  },
  'node parted from NATS': {
    cards: 2,
    kills: 0,
    needs: 'nats',
    places: aNode,
    async run({ world, random, hold }, index) {
      const { toNats } = nodeOf(world, index)
      const how = random.pick(['cut', 'hang'] as const)
      for (const proxy of toNats) proxy[how]()
      await hold(random.between(3_000, 15_000))
      for (const proxy of toNats) proxy.restore()
    },
  },
}
