import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { until } from './wait.ts'

/** A connection that says exactly what it is told to, for what no HTTP client would send. */
export class RawConnection implements Disposable {
  readonly socket: Socket
  received = ''

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      this.received += chunk
    })
    socket.on('error', () => {})
  }

  static async open(base: string): Promise<RawConnection> {
    const { hostname, port } = new URL(base)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return new RawConnection(socket)
  }

  /** Sends the head of a request; `headers` as they are to stand on the wire. */
  request(line: string, headers: Record<string, string>): void {
    const lines = Object.entries({ Host: 'localhost', ...headers }).map(
      ([name, value]) => `${name}: ${value}`,
    )
    this.socket.write(`${[`${line} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`, 'latin1')
  }

  /** The status of the first answer, once its head is there. */
  async status(): Promise<number> {
    await until('an answer', () => this.received.includes('\r\n\r\n'))
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.received)?.[1])
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
