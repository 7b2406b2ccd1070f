import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/wait.ts'
import { freePort } from './free-port.ts'

const SIZE = 3

/** Three real servers. Their routes run through proxies, so that one can be parted from the others. */
export class NatsCluster implements AsyncDisposable {
  readonly servers: readonly NatsServer[]
  readonly #routes: readonly { ends: readonly [number, number]; proxy: TcpProxy }[]

  private constructor(servers: NatsServer[], routes: { ends: readonly [number, number]; proxy: TcpProxy }[]) {
    this.servers = servers
    this.#routes = routes
  }

  /** Below `folder`; resolves when all accept clients. */
  static async start(folder: string): Promise<NatsCluster> {
    const ports = []
    for (let n = 0; n < SIZE; n += 1) ports.push({ client: await freePort(), route: await freePort() })
    const routes = []
    for (const [to, { route }] of ports.entries()) {
      for (let from = 0; from < to; from += 1) {
        const proxy = await TcpProxy.before(`nats://127.0.0.1:${route}`)
        routes.push({ ends: [from, to] as const, proxy })
      }
    }
    const servers = []
    for (const [index, { client, route }] of ports.entries()) {
      const own = routes.filter(({ ends }) => ends[0] === index).map(({ proxy }) => proxy.port)
      servers.push(await NatsServer.start(join(folder, `nats-${index}`), { client, route, own }))
    }
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
    for (const server of this.servers) await server.kill()
    for (const { proxy } of this.#routes) await proxy[Symbol.asyncDispose]()
  }
}

type Ports = { client: number; route: number; own: number[] }

/** One nats-server process. */
class NatsServer {
  readonly url: string
  readonly #files: string
  readonly #port: number
  #child: ChildProcess | undefined

  private constructor(files: string, port: number) {
    this.#files = files
    this.#port = port
    this.url = `nats://127.0.0.1:${port}`
  }

  static async start(files: string, { client, route, own }: Ports): Promise<NatsServer> {
    // Nobody is told of other addresses than those given: what goes past the proxies cannot be parted.
    const settings = `
      listen: 127.0.0.1:${client}
      ping_interval: "5s"
      ping_max: 2
      cluster {
        name: longwave
        listen: 127.0.0.1:${route}
        advertise: "127.0.0.1:1"
        no_advertise: true
        routes: [${own.map((port) => `nats://127.0.0.1:${port}`).join(', ')}]
      }`
    await writeFile(`${files}.conf`, settings)
    const server = new NatsServer(files, client)
    await server.restart()
    return server
  }

  /** Resolves when it accepts clients. */
  async restart(): Promise<void> {
    const log = openSync(`${this.#files}.log`, 'a')
    const child = spawn(locate('nats-server'), ['-c', `${this.#files}.conf`], {
      stdio: ['ignore', log, log],
    })
    this.#child = child
    await until('nats-server', () => {
      if (child.exitCode !== null) throw new Error(readFileSync(`${this.#files}.log`, 'utf8').slice(-500))
      return accepts(this.#port)
    })
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
}

/** Debian puts it where only root's PATH leads. */
function locate(program: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const folder = folders.find((each) => existsSync(join(each, program)))
  if (!folder) throw new Error(`${program} is missing: apt-get install ${program}`)
  return join(folder, program)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => settle(true)).on('error', () => settle(false))
  })
}
