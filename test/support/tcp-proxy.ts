import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

type Target = { host: string; port: number }
/** Whether to lose it: what comes from the server, and what the client sent at first and last. */
type Choose = (answer: Buffer, sent: { first: string; last: string }) => boolean

/** Stands between two parts, and fails as networks and servers do. */
export class TcpProxy implements AsyncDisposable {
  readonly #server = createServer((socket) => this.#accept(socket))
  readonly #connections = new Set<ProxiedConnection>()
  #target: Target
  #state: 'open' | 'refusing' | 'hanging' = 'open'
  #losing: { choose: Choose; resolve(): void } | undefined

  private constructor(target: Target) {
    this.#target = target
  }

  /** A proxy in front of the server of `url`. */
  static async before(url: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetOf(url))
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** `url` with this proxy's address. */
  through(url: string): string {
    const changed = new URL(url)
    changed.host = `127.0.0.1:${this.port}`
    return changed.href
  }

  /** New connections go to the server of `url`; those there are stay where they are. */
  repoint(url: string): void {
    this.#target = targetOf(url)
  }

  /** Like a server that is stopped: connections are reset, new ones ended at once. */
  cut(): void {
    this.#state = 'refusing'
    for (const connection of this.#connections) connection.reset()
  }

  /** Like a server that is frozen, or a network that drops packets: connections stay, nothing passes. */
  hang(): void {
    this.#state = 'hanging'
    for (const connection of this.#connections) connection.hang()
  }

  /** Drops the packets of those connections that `choose` picks: half-open peers. New ones pass. */
  hangSome(choose: () => boolean): void {
    for (const connection of this.#connections) if (choose()) connection.hang()
  }

  /** Resets connections once they have carried that many more bytes to the client: in the middle of a frame. */
  resetAfter(bytes: () => number): void {
    for (const connection of this.#connections) connection.resetAfter(bytes())
  }

  /** The next answer that `choose` picks does not arrive, and its connection is reset. Resolves then. */
  loseAnswer(choose: Choose): Promise<void> {
    return new Promise((resolve) => {
      this.#losing = { choose, resolve }
    })
  }

  restore(): void {
    this.#state = 'open'
    for (const connection of this.#connections) connection.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const connection of this.#connections) connection.reset()
    await closed
  }

  #accept(client: Socket): void {
    if (this.#state === 'refusing') {
      client.resetAndDestroy()
      return
    }
    const server = connect({ ...this.#target, noDelay: true })
    const connection = new ProxiedConnection(client, server, (...given) => this.#loses(...given))
    this.#connections.add(connection)
    client.once('close', () => this.#connections.delete(connection))
    if (this.#state === 'hanging') connection.hang()
  }

  #loses(...given: Parameters<Choose>): boolean {
    if (!this.#losing?.choose(...given)) return false
    this.#losing.resolve()
    this.#losing = undefined
    return true
  }
}

/** Both sides of one connection. */
class ProxiedConnection {
  readonly #client: Socket
  readonly #server: Socket
  #isHanging = false
  /** Bytes to the client until the reset. */
  #budget = Number.POSITIVE_INFINITY
  #sent = { first: '', last: '' }

  constructor(client: Socket, server: Socket, loses: Choose) {
    this.#client = client.setNoDelay()
    this.#server = server
    this.#join(client, server, (chunk) => {
      const last = chunk.toString('latin1')
      this.#sent = { first: this.#sent.first || last, last }
      return chunk
    })
    this.#join(server, client, (chunk) => {
      if (loses(chunk, this.#sent)) this.#budget = 0
      return this.#spend(chunk)
    })
  }

  reset(): void {
    for (const socket of [this.#client, this.#server]) reset(socket)
  }

  resetAfter(bytes: number): void {
    this.#budget = bytes
  }

  hang(): void {
    this.#isHanging = true
    this.#client.pause()
    this.#server.pause()
  }

  resume(): void {
    this.#isHanging = false
    if (!this.#server.writableNeedDrain) this.#client.resume()
    if (!this.#client.writableNeedDrain) this.#server.resume()
  }

  /** Passes bytes on no faster than they are taken, and an end as the end it was. */
  #join(from: Socket, to: Socket, take: (chunk: Buffer) => Buffer): void {
    from.on('data', (chunk) => {
      if (!to.write(take(chunk))) from.pause()
      if (this.#budget <= 0) setImmediate(() => this.reset())
    })
    to.on('drain', () => {
      if (!this.#isHanging) from.resume()
    })
    from.on('end', () => to.end())
    from.on('error', () => reset(to))
    from.on('close', () => {
      if (!to.writableEnded) to.destroy()
    })
  }

  #spend(chunk: Buffer): Buffer {
    const part = chunk.length > this.#budget ? chunk.subarray(0, this.#budget) : chunk
    this.#budget -= chunk.length
    return part
  }
}

/** The driver of a socket that is ending cannot reset it any more, and would leave it open for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded || socket.writableLength > 0) socket.destroy()
  else socket.resetAndDestroy()
}

function targetOf(url: string): Target {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}
