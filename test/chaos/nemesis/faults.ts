import type { Random } from '../random.ts'
import type { World } from '../world/world.ts'

/** What a fault works with while it lasts. */
type Circumstances = {
  world: World
  /** Drawn for this one fault. */
  random: Random
  /** Resolves after that many ms, or when the campaign ends. */
  hold(ms: number): Promise<void>
  /** What was broken works again from now on, whatever has still to be tidied up. */
  healed(): void
}

/** Where a fault strikes: places that no other fault may touch meanwhile. */
export type Place = `node ${number}` | `nats ${number}` | 'postgres'

export type Fault = {
  /** How often it comes in a deal. */
  cards: number
  kills: number
  /** Without which it cannot happen. */
  needs?: 'nats' | 'standby'
  places(random: Random, world: World): Place[]
  run(circumstances: Circumstances, index: number): Promise<void>
}

const aNode = (random: Random, world: World): Place[] => [`node ${random.below(world.nodes.length)}`]
const aNats = (random: Random, world: World): Place[] => {
  return [`nats ${random.below(world.nats?.servers.length ?? 0)}`]
}
const allNats = (_: Random, world: World): Place[] => {
  return (world.nats?.servers ?? []).map((_, index): Place => `nats ${index}`)
}
const postgres = (): Place[] => ['postgres']

function nodeOf(world: World, index: number) {
  const node = world.nodes[index]
  if (!node) throw new Error(`there is no node ${index}`)
  return node
}

function natsOf(world: World, index: number) {
  const server = world.nats?.servers[index]
  if (!server) throw new Error(`there is no NATS server ${index}`)
  return server
}

/** One process dies and comes back. */
const KILLS: Record<string, Fault> = {
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
  'node killed between COMMIT and announcement': {
    cards: 3,
    kills: 1,
    places: aNode,
    async run({ world, hold }, index) {
      const node = nodeOf(world, index)
      await node.killAt('announcement', hold(5_000))
      await node.restart()
    },
  },
  'node killed between COMMIT and answer': {
    cards: 3,
    kills: 1,
    places: aNode,
    async run({ world, hold }, index) {
      const node = nodeOf(world, index)
      await node.killAt('answer', hold(5_000))
      await node.restart()
    },
  },
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

const NODES: Record<string, Fault> = {
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

const NATS: Record<string, Fault> = {
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

const POSTGRES: Record<string, Fault> = {
  'Postgres restarted': {
    cards: 2,
    kills: 1,
    places: postgres,
    async run({ world, random, healed }) {
      await world.postgres.restart(random.between(0, 3_000), healed)
    },
  },
  'Postgres failed over': {
    cards: 1,
    kills: 1,
    needs: 'standby',
    places: postgres,
    async run({ world, healed }) {
      await world.postgres.failOver()
      world.followPrimary()
      healed()
      await world.postgres.addStandby('synchronous')
      await world.postgres.clearRetired()
    },
  },
  'node cut off from Postgres': {
    cards: 1,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const { toPostgres } = nodeOf(world, index)
      toPostgres.cut()
      await hold(random.between(500, 4_000))
      toPostgres.restore()
    },
  },
  'packets between node and Postgres dropped': {
    cards: 2,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const { toPostgres } = nodeOf(world, index)
      toPostgres.hang()
      await hold(random.between(2_000, 12_000))
      toPostgres.restore()
    },
  },
}

const NETWORK: Record<string, Fault> = {
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

/** What a campaign does to its world, by name. */
export const FAULTS = { ...KILLS, ...NODES, ...NATS, ...POSTGRES, ...NETWORK }

/** Those that happen at their own pace beside the others. */
export const KILL_KINDS = Object.keys(KILLS)
/** The rest, one after the other. */
export const OTHER_KINDS = Object.keys(FAULTS).filter((kind) => !(kind in KILLS))
