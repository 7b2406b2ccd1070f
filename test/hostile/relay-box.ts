import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Box, Origin } from './box.ts'

export type Direction = 'up' | 'down'

/** What a flow can do to the connection it carries. */
export type Ends = {
  /** Hands bytes on to the other side, or with `null` the end of that side. */
  pass(direction: Direction, chunk: Buffer | null): void
  /** Keeps the sender of a direction from sending more, or lets it again. */
  hold(direction: Direction, isHeld: boolean): void
  /** Resets both sides. */
  reset(): void
}

/** Called with what a side sent (`null`: it is done sending). What it does not pass on is lost. */
export type Carry = (direction: Direction, chunk: Buffer | null) => void

/** A wire: called once per start; what it returns once per connection. */
export type Wire = () => (ends: Ends) => Carry

/** A box below HTTP: it does not read what it carries. Lives in this process and dies with it. */
export class RelayBox implements Box {
  readonly name: string
  readonly kind = 'tcp'
  readonly proxyUrl = undefined
  readonly authority = undefined
  readonly #wire: Wire
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0
  #origin: Origin = { http: '', https: '' }

  constructor(name: string, wire: Wire) {
    this.name = name
    this.#wire = wire
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(origin: Origin): Promise<void> {
    this.#origin = origin
    const { hostname, port } = new URL(origin.http)
    const open = this.#wire()
    // What one side has ended the other may still answer.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const target = { host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true }
      this.#join(client, connect(target), open)
    })
    await once(server.listen(this.#port, '127.0.0.1'), 'listening')
    this.#server = server
    this.#port = (server.address() as AddressInfo).port
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start(this.#origin)
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve(null)))
    for (const socket of this.#sockets) reset(socket)
    await closed
    this.#server = undefined
  }

  #join(client: Socket, server: Socket, open: (ends: Ends) => Carry): void {
    const sides = { up: { from: client, to: server }, down: { from: server, to: client } }
    const carry = open({
      pass: (direction, chunk) => {
        const { to } = sides[direction]
        if (chunk === null) to.end()
        else if (to.writable) to.write(chunk)
      },
      hold: (direction, isHeld) => {
        const { from } = sides[direction]
        if (isHeld) from.pause()
        else from.resume()
      },
      reset: () => {
        reset(client)
        reset(server)
      },
    })
    for (const direction of ['up', 'down'] as const) {
      const { from, to } = sides[direction]
      this.#sockets.add(from)
      from.on('data', (chunk) => carry(direction, chunk))
      from.on('end', () => carry(direction, null))
      from.on('error', () => reset(to))
      from.on('close', () => this.#sockets.delete(from))
    }
  }
}

/** The driver of a socket that is ending cannot reset it any more, and would leave it open for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded || socket.writableLength > 0) socket.destroy()
  else socket.resetAndDestroy()
}
