import { isIP, Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'

/** What asks Postgres for TLS (postgresql.org, frontend/backend protocol: SSLRequest), and its yes. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
const YES = 'S'.charCodeAt(0)

export type TlsMode = {
  /** The server's certificate has to be good for its name. */
  isVerified: boolean
  /** Goes on in the clear where the server has no TLS. */
  isOptional: boolean
}

/**
 * TLS to Postgres that looks like a plain socket. The driver's own loses its first message for ever when a connection
 * closes in the wrong moment, and is told of an error and of the end apart: see CoupledSocket.
 */
export class SecureSocket extends Duplex {
  readonly #raw: Socket
  readonly #mode: TlsMode
  readonly #host: string
  /** What is spoken through, once that is agreed. */
  #channel: Socket | TLSSocket | undefined
  /** The write that waits for it. */
  #first: (() => void) | undefined

  constructor(host: string, port: number, mode: TlsMode) {
    super()
    this.#mode = mode
    this.#host = host
    this.#raw = new Socket()
      .once('connect', () => this.#raw.write(SSL_REQUEST))
      .once('data', (answer) => this.#agree(answer[0] === YES))
      .on('error', (error) => this.destroy(error))
      .on('close', () => this.destroy())
      .setNoDelay(true)
      .connect({ host, port })
  }

  get bytesRead(): number {
    return this.#raw.bytesRead
  }

  get readyState(): 'open' | 'closed' {
    return this.destroyed ? 'closed' : 'open'
  }

  setKeepAlive(isOn: boolean, afterMs: number): void {
    this.#raw.setKeepAlive(isOn, afterMs)
  }

  /** As a socket's 'close', which says whether there was an error. */
  override emit(event: string | symbol, ...details: unknown[]): boolean {
    return event === 'close' ? super.emit(event, this.errored !== null) : super.emit(event, ...details)
  }

  override _read(): void {
    this.#channel?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#channel) this.#channel.write(chunk, done)
    else this.#first = () => this.#channel?.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#channel) this.#channel.end(done)
    else this.destroy()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel?.destroy()
    this.#raw.destroy()
    done(error)
  }

  #agree(hasTls: boolean): void {
    if (hasTls) {
      const servername = isIP(this.#host) ? {} : { servername: this.#host }
      const secure = connect({ socket: this.#raw, ...servername, rejectUnauthorized: this.#mode.isVerified })
      secure.on('error', (error) => this.destroy(error)).on('close', () => this.destroy())
      secure.once('secureConnect', () => this.#speak(secure))
    } else if (this.#mode.isOptional) this.#speak(this.#raw)
    else this.destroy(Object.assign(new Error('Postgres does not offer TLS'), { code: 'ECONNREFUSED' }))
  }

  #speak(channel: Socket | TLSSocket): void {
    this.#channel = channel
    channel.on('data', (chunk) => {
      if (!this.push(chunk)) channel.pause()
    })
    channel.on('end', () => this.push(null))
    this.#first?.()
  }
}

/** How a `postgres://` URL asks for TLS with `sslmode`; `undefined` where it does not. */
export function tlsMode(url: string): TlsMode | undefined {
  const query = new URLSearchParams(url.split('?')[1])
  const mode = query.get('sslmode') ?? query.get('ssl') ?? 'disable'
  if (mode === 'disable' || mode === 'false') return undefined
  const isVerified = !['allow', 'prefer', 'require'].includes(mode) || query.get('sslrootcert') === 'system'
  return { isVerified, isOptional: mode === 'allow' || mode === 'prefer' }
}
