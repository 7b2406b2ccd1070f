import type { Node } from '../world/node.ts'
import type { World } from '../world/world.ts'
import { aNats, aNode, type Fault, nodeOf } from './fault.ts'

function natsOf(world: World, index: number) {
  const server = world.nats?.servers[index]
  if (!server) throw new Error(`there is no NATS server ${index}`)
  return server
}

/** A node dies between COMMIT and what comes next. */
function killedBefore(moment: Parameters<Node['killAt']>[0]): Fault {
  return {
    cards: 3,
    kills: 1,
    places: aNode,
    async run({ world, hold }, index) {
      const node = nodeOf(world, index)
      await node.killAt(moment, hold(5_000))
      await node.restart()
    },
  }
}

/** One process dies and comes back. */
export const KILLS: Record<string, Fault> = {
  'node killed': {
    cards: 5,
    kills: 1,
    places: aNode,
    async run({ world, random, hold }, index) {
      const node = nodeOf(world, index)
      await node.signal('SIGKILL')
      await hold(random.between(0, 1_500))
      await node.restart()
    },
  },
  'node killed between COMMIT and announcement': killedBefore('announcement'),
  'node killed between COMMIT and answer': killedBefore('answer'),
  'NATS server killed': {
    cards: 2,
    kills: 1,
    needs: 'nats',
    places: aNats,
    async run({ world, random, hold }, index) {
      const server = natsOf(world, index)
      await server.kill()
      await hold(random.between(200, 3_000))
      await server.restart()
    },
  },
}
