import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands between a gateway and its Postgres, and fails as networks and servers do. */
export class TcpProxy implements AsyncDisposable {
  readonly #server = createServer((socket) => this.#accept(socket))
  readonly #sockets = new Set<Socket>()
  readonly #target: { host: string; port: number }
  #state: 'open' | 'refusing' | 'hanging' = 'open'

  private constructor(target: { host: string; port: number }) {
    this.#target = target
  }

  /** A proxy in front of the server of `url`. */
  static async before(url: string): Promise<TcpProxy> {
    const { hostname, port } = new URL(url)
    const proxy = new TcpProxy({ host: hostname, port: Number(port) })
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  /** `url` with this proxy's address. */
  through(url: string): string {
    const changed = new URL(url)
    changed.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return changed.href
  }

  /** Like a server that is stopped: connections are reset, new ones ended at once. */
  cut(): void {
    this.#state = 'refusing'
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Like a server that is frozen, or a network that drops packets: connections stay, nothing passes. */
  hang(): void {
    this.#state = 'hanging'
    for (const socket of this.#sockets) socket.pause()
  }

  restore(): void {
    this.#state = 'open'
    for (const socket of this.#sockets) socket.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(client: Socket): void {
    if (this.#state === 'refusing') {
      client.resetAndDestroy()
      return
    }
    const server = connect(this.#target)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (chunk) => to.write(chunk))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
    if (this.#state === 'hanging') this.hang()
  }
}
