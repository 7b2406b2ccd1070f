import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NatsCluster } from './nats-cluster.ts'
import { Node } from './node.ts'
import { PostgresPair, type Replication } from './postgres-pair.ts'

export type WorldOptions = NodesOptions & {
  /** Without it the nodes only have Postgres in common. */
  nats: boolean
  replication: Replication
}

export type NodesOptions = {
  nodes: number
  /** Of each node; ms. */
  clockShiftsMs?: readonly number[]
  /** Name of the seeded bug that they have. */
  bug?: string | undefined
}

/** What nodes stand on. */
export type Ground = { postgres: PostgresPair; nats: NatsCluster | undefined }

/** Every process of a deployment, all real, and the faulty network between them. */
export class World implements AsyncDisposable {
  readonly postgres: PostgresPair
  readonly nats: NatsCluster | undefined
  readonly nodes: readonly Node[]
  readonly #parts: AsyncDisposableStack

  private constructor(parts: AsyncDisposableStack, { postgres, nats }: Ground, nodes: Node[]) {
    this.#parts = parts
    this.postgres = postgres
    this.nats = nats
    this.nodes = nodes
  }

  /** Resolves when every node serves. Leaves nothing behind when it rejects or is disposed of. */
  static async start(options: WorldOptions): Promise<World> {
    await using parts = new AsyncDisposableStack()
    const ground = await World.prepare(options, parts)
    const nodes = await startNodes(options, ground, ground.postgres.url, parts)
    return new World(parts.move(), ground, nodes)
  }

  /** Postgres and NATS alone, for several worlds one after the other. */
  static async prepare(
    { nats, replication }: Pick<WorldOptions, 'nats' | 'replication'>,
    parts: AsyncDisposableStack,
  ): Promise<Ground> {
    const folder = await mkdtemp(join(tmpdir(), 'longwave-chaos-'))
    parts.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }))
    await chmod(folder, 0o755)
    const postgres = parts.use(await PostgresPair.start(folder, replication))
    return { postgres, nats: nats ? parts.use(await NatsCluster.start()) : undefined }
  }

  /** Nodes over a database of their own on ground that stays when they go. */
  static async over(ground: Ground, database: string, options: NodesOptions): Promise<World> {
    await using parts = new AsyncDisposableStack()
    const url = new URL(ground.postgres.url)
    url.pathname = database
    const nodes = await startNodes(options, ground, url.href, parts)
    return new World(parts.move(), ground, nodes)
  }

  /** New connections to Postgres go to the primary of the moment. */
  followPrimary(): void {
    for (const node of this.nodes) node.toPostgres.repoint(this.postgres.url)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync()
  }
}

async function startNodes(
  { nodes, clockShiftsMs = [], bug }: NodesOptions,
  { nats }: Ground,
  postgresUrl: string,
  parts: AsyncDisposableStack,
): Promise<Node[]> {
  const natsUrls = nats?.servers.map((server) => server.url()) ?? []
  const starting = Array.from({ length: nodes }, async (_, index) => {
    const clockShiftMs = clockShiftsMs[index] ?? 0
    return parts.use(await Node.start({ name: `node-${index}`, postgresUrl, natsUrls, clockShiftMs, bug }))
  })
  const outcomes = await Promise.allSettled(starting)
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  return Promise.all(starting)
}
