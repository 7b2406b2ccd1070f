import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NatsCluster } from './nats-cluster.ts'
import { Node } from './node.ts'
import { PostgresPair, type Replication } from './postgres-pair.ts'

export type WorldOptions = {
  nodes: number
  /** Without it the nodes only have Postgres in common. */
  nats: boolean
  replication: Replication
  /** Of each node; ms. */
  clockShiftsMs?: readonly number[]
  bug?: string | undefined
}

/** Every process of a deployment, all real, and the faulty network between them. */
export class World implements AsyncDisposable {
  readonly postgres: PostgresPair
  readonly nats: NatsCluster | undefined
  readonly nodes: readonly Node[]
  readonly #parts: AsyncDisposableStack

  private constructor(
    parts: AsyncDisposableStack,
    { postgres, nats, nodes }: { postgres: PostgresPair; nats: NatsCluster | undefined; nodes: Node[] },
  ) {
    this.#parts = parts
    this.postgres = postgres
    this.nats = nats
    this.nodes = nodes
  }

  /** Resolves when every node serves. Leaves nothing behind when it rejects or is disposed of. */
  static async start(options: WorldOptions): Promise<World> {
    await using parts = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'longwave-chaos-'))
    parts.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }))
    await chmod(folder, 0o755)
    const postgres = parts.use(await PostgresPair.start(folder, options.replication))
    const nats = options.nats ? parts.use(await NatsCluster.start()) : undefined
    const nodes = await World.startNodes(options, postgres.url, nats, parts)
    return new World(parts.move(), { postgres, nats, nodes })
  }

  /** The nodes alone, over a Postgres that is there. */
  static async startNodes(
    { nodes, clockShiftsMs = [], bug }: Pick<WorldOptions, 'nodes' | 'clockShiftsMs' | 'bug'>,
    postgresUrl: string,
    nats: NatsCluster | undefined,
    parts: AsyncDisposableStack,
  ): Promise<Node[]> {
    const natsUrls = nats?.servers.map((server) => server.url()) ?? []
    const starting = Array.from({ length: nodes }, async (_, index) => {
      const clockShiftMs = clockShiftsMs[index] ?? 0
      return parts.use(await Node.start({ name: `node-${index}`, postgresUrl, natsUrls, clockShiftMs, bug }))
    })
    return Promise.all(starting)
  }

  /** New connections to Postgres go to the primary of the moment. */
  followPrimary(): void {
    for (const node of this.nodes) node.toPostgres.repoint(this.postgres.url)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync()
  }
}
