import { aNode, type Fault, nodeOf } from './fault.ts'

/** What may happen to a node that does not die. */
export const NODE_FAULTS: Record<string, Fault> = {
  'node frozen': {
    cards: 3,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const node = nodeOf(world, index)
      node.freeze()
      await hold(random.between(3_000, random.chance(0.3) ? 20_000 : 8_000))
      node.thaw()
    },
  },
  'node drained': {
    cards: 2,
    kills: 0,
    places: aNode,
    async run({ world }, index) {
      const node = nodeOf(world, index)
      await node.signal('SIGTERM')
      await node.restart()
    },
  },
}
