import type { Bus } from './bus.ts'

/** What a node says of itself. */
export type NodeState = {
  node: string
  /** All nodes over one database; others may share their NATS servers. */
  deployment: string
  /** Where clients reach it; left out where it cannot know. */
  endpoint?: string | undefined
  /** Open streams and parked polls. */
  load: number
}

type Known = NodeState & { heardAt: number }

const TOPIC = 'nodes'
const ANNOUNCE_MS = 2_000
/** A node not heard of for so long is gone. */
const EXPIRES_MS = 7_000
/** A node that is new is answered at once, spread a little as everybody does so. */
const ANSWER_MS = 200

/** The nodes that are alive: each says so over the bus every two seconds, and is forgotten when it does not. */
export class Nodes implements Disposable {
  readonly #bus: Bus
  readonly #self: Pick<NodeState, 'node' | 'deployment'>
  readonly #load: () => number
  readonly #others = new Map<string, Known>()
  #endpoint: string | undefined
  #timer: NodeJS.Timeout | undefined
  #isHere = false

  constructor(bus: Bus, self: Pick<NodeState, 'node' | 'deployment'>, load: () => number) {
    this.#bus = bus
    this.#self = self
    this.#load = load
    bus.onBroadcast(TOPIC, (text) => this.#hear(text))
    bus.onChange(() => this.#announceWithin(ANSWER_MS))
  }

  /** From now on this node serves, at `endpoint` if that is known. */
  arrive(endpoint: string | undefined): void {
    this.#endpoint = endpoint
    this.#isHere = true
    this.#announceWithin(ANSWER_MS)
  }

  /** How many there are beside this one. */
  get others(): number {
    return this.#others.size
  }

  /** Where clients reach the deployment, least loaded first; nodes behind one address are one entry. */
  endpoints(): string[] {
    const loads = new Map<string, number[]>()
    for (const { endpoint, load } of this.#alive()) {
      if (endpoint !== undefined) loads.set(endpoint, [...(loads.get(endpoint) ?? []), load])
    }
    const mean = (numbers: number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length
    return [...loads].sort(([, a], [, b]) => mean(a) - mean(b)).map(([endpoint]) => endpoint)
  }

  /** From now on nobody is sent here. */
  leave(): void {
    this.#isHere = false
    clearTimeout(this.#timer)
    this.#bus.broadcast(TOPIC, JSON.stringify({ ...this.#self, load: 0, left: true }))
  }

  [Symbol.dispose](): void {
    this.#isHere = false
    clearTimeout(this.#timer)
  }

  #state(): NodeState {
    return { ...this.#self, endpoint: this.#endpoint, load: this.#load() }
  }

  #alive(): NodeState[] {
    this.#forget()
    return [...(this.#isHere ? [this.#state()] : []), ...this.#others.values()]
  }

  #forget(): void {
    const horizon = performance.now() - EXPIRES_MS
    for (const [node, { heardAt }] of this.#others) if (heardAt < horizon) this.#others.delete(node)
  }

  #hear(text: string): void {
    const said = parseState(text)
    if (!said || said.deployment !== this.#self.deployment || said.node === this.#self.node) return
    if (said.left) {
      this.#others.delete(said.node)
      return
    }
    if (!this.#others.has(said.node)) this.#announceWithin(ANSWER_MS)
    this.#others.set(said.node, { ...said, heardAt: performance.now() })
  }

  #announceWithin(ms: number): void {
    if (!this.#isHere) return
    clearTimeout(this.#timer)
    const tell = () => {
      this.#forget()
      this.#bus.broadcast(TOPIC, JSON.stringify(this.#state()))
      this.#announceWithin(ANNOUNCE_MS * 2)
    }
    this.#timer = setTimeout(tell, ms * (0.25 + Math.random() / 2)).unref()
  }
}

function parseState(text: string): (NodeState & { left?: boolean }) | undefined {
  try {
    const said = JSON.parse(text)
    const { node, endpoint = '', load } = said
    return typeof node === 'string' && typeof endpoint === 'string' && Number.isFinite(load)
      ? said
      : undefined
  } catch {
    return undefined
  }
}
