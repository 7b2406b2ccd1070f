import { aNode, type Fault, nodeOf, type Place } from './fault.ts'

/** What may happen to a node besides its own sudden death. */
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
  'all nodes killed': {
    cards: 1,
    kills: 3,
    places: (_, world) => world.nodes.map((_node, index): Place => `node ${index}`),
    async run({ world, random, hold }) {
      await Promise.all(world.nodes.map((node) => node.signal('SIGKILL')))
      await hold(random.between(0, 1_000))
      await Promise.all(world.nodes.map((node) => node.restart()))
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
