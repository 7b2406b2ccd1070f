import { aNode, type Fault, nodeOf } from './fault.ts'

/** What may happen between clients and a node. */
export const NETWORK_FAULTS: Record<string, Fault> = {
  'connections reset in mid-frame': {
    cards: 3,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const { front } = nodeOf(world, index)
      front.resetAfter(() => 1 + random.below(4_000))
      await hold(1_000)
    },
  },
  'half of the clients half-open': {
    cards: 2,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const { front } = nodeOf(world, index)
      front.hangSome(() => random.chance(0.5))
      await hold(random.between(3_000, 14_000))
      front.restore()
    },
  },
  'packets between clients and node dropped': {
    cards: 2,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const { front } = nodeOf(world, index)
      front.hang()
      await hold(random.between(3_000, 14_000))
      front.restore()
    },
  },
  'POSTs duplicated': {
    cards: 2,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const node = nodeOf(world, index)
      node.isDuplicating = true
      await hold(random.between(2_000, 8_000))
      node.isDuplicating = false
    },
  },
}
