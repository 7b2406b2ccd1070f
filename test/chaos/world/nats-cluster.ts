import { NatsServer } from '../../support/nats-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { stablePort } from './stable-port.ts'

const SIZE = 3

/** Three real servers. Their routes run through proxies, so that one can be parted from the others. */
export class NatsCluster implements AsyncDisposable {
  readonly servers: readonly NatsServer[]
  readonly #routes: readonly { ends: readonly [number, number]; proxy: TcpProxy }[]

  private constructor(servers: NatsServer[], routes: { ends: readonly [number, number]; proxy: TcpProxy }[]) {
    this.servers = servers
    this.#routes = routes
  }

  /** Resolves when all accept clients. */
  static async start(): Promise<NatsCluster> {
    const ports = await Promise.all(Array.from({ length: SIZE }, () => stablePort()))
    const routes = []
    for (const [to, port] of ports.entries()) {
      for (let from = 0; from < to; from += 1) {
        const proxy = await TcpProxy.before(`nats://127.0.0.1:${port}`)
        routes.push({ ends: [from, to] as const, proxy })
      }
    }
    const servers: NatsServer[] = []
    for (const [index, port] of ports.entries()) {
      const own = routes.filter(({ ends }) => ends[0] === index).map(({ proxy }) => proxy.port)
      servers.push(await NatsServer.start(settings(port, own), await stablePort()))
    }
    const end = () => {
      for (const server of servers) void server.kill()
    }
    process.once('exit', end)
    return new NatsCluster(servers, routes)
  }

  /** Parts one server from the other two, as `how` says. */
  part(index: number, how: 'cut' | 'hang'): void {
    for (const { ends, proxy } of this.#routes) if (ends.includes(index)) proxy[how]()
  }

  rejoin(): void {
    for (const { proxy } of this.#routes) proxy.restore()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.servers) await server[Symbol.asyncDispose]()
    for (const { proxy } of this.#routes) await proxy[Symbol.asyncDispose]()
  }
}

/** Nobody is told of other addresses than those given: what goes past the proxies cannot be parted. */
function settings(port: number, routes: number[]): string {
  return `
    ping_interval: "5s"
    ping_max: 2
    cluster {
      name: longwave
      listen: 127.0.0.1:${port}
      advertise: "127.0.0.1:1"
      no_advertise: true
      routes: [${routes.map((route) => `nats://127.0.0.1:${route}`).join(', ')}]
    }`
}
