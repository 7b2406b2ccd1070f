import type { Random } from '../random.ts'
import type { Node } from '../world/node.ts'
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

/** Something that can be done to a world. */
export type Fault = {
  /** How often it comes in a deal. */
  cards: number
  kills: number
  /** Without which it cannot happen. */
  needs?: 'nats' | 'standby'
  places(random: Random, world: World): Place[]
  run(circumstances: Circumstances, index: number): Promise<void>
}

/** A fault strikes one node. */
export const aNode = (random: Random, world: World): Place[] => [`node ${random.below(world.nodes.length)}`]

/** A fault strikes one NATS server. */
export const aNats = (random: Random, world: World): Place[] => {
  return [`nats ${random.below(world.nats?.servers.length ?? 0)}`]
}

/** The node of that number. */
export function nodeOf(world: World, index: number): Node {
  const node = world.nodes[index]
  if (!node) throw new Error(`there is no node ${index}`)
  return node
}
