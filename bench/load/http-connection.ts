import { connect, type Socket } from 'node:net'

/** An answer, its body as it came. */
export type HttpAnswer = { status: number; body: string }

const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * One keep-alive connection with one request under way at a time: just enough HTTP/1.1 for a load generator, since
 * answers that are not streams have a Content-Length.
 */
export class HttpConnection {
  readonly #socket: Socket
  #pending: Buffer = Buffer.alloc(0)
  #answer: ((answer: HttpAnswer) => void) | undefined
  readonly #onEnd: (why: string) => void

  constructor(url: URL, onEnd: (why: string) => void) {
    this.#onEnd = onEnd
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true })
    this.#socket.on('data', (bytes) => this.#take(bytes))
    this.#socket.on('error', (error) => this.#end(error.message))
    this.#socket.on('close', () => this.#end('closed'))
  }

  /** Writes a whole request; `answer` is called once. */
  request(bytes: string, answer: (answer: HttpAnswer) => void): void {
    this.#answer = answer
    this.#socket.write(bytes)
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.destroy()
  }

  #end(why: string): void {
    this.close()
    this.#onEnd(why)
  }

  #take(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    const headEnd = this.#pending.indexOf(HEAD_END)
    if (headEnd < 0) return
    const head = this.#pending.toString('latin1', 0, headEnd)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
    if (Number.isNaN(length)) {
      this.#end(`an answer without a length: ${head.split('\r\n', 1)[0]}`)
      return
    }
    const bodyStart = headEnd + HEAD_END.length
    if (this.#pending.length < bodyStart + length) return
    const body = this.#pending.toString('utf8', bodyStart, bodyStart + length)
    this.#pending = this.#pending.subarray(bodyStart + length)
    const answer = this.#answer
    this.#answer = undefined
    answer?.({ status: Number(head.slice(9, 12)), body })
  }
}
