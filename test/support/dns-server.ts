import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

const A = 1
const NO_SUCH_NAME = 3

/** What a name is said to resolve to: addresses, that there is no such name, or no answer at all. */
export type Said = readonly string[] | 'unknown' | 'silence'

/** A name server over real UDP that says what it is told to, anew for each question. Unknown names do not exist. */
export class DnsServer implements AsyncDisposable {
  readonly #socket = createSocket('udp4')
  readonly #names: Record<string, (question: number) => Said>
  /** How often each name was asked for its IPv4 addresses. */
  readonly asked = new Map<string, number>()

  private constructor(names: Record<string, (question: number) => Said>) {
    this.#names = names
    this.#socket.on('message', (query, { port, address }) => {
      const answer = this.#answer(query)
      if (answer) this.#socket.send(answer, port, address)
    })
  }

  /** `names`: what is said of a name to the first, second … question for it. */
  static async start(names: Record<string, (question: number) => Said>): Promise<DnsServer> {
    const server = new DnsServer(names)
    server.#socket.bind(0, '127.0.0.1')
    await once(server.#socket, 'listening')
    return server
  }

  /** A resolver that asks nobody else. */
  resolver(options: { timeout: number; tries: number } = { timeout: 2_000, tries: 2 }): Resolver {
    const resolver = new Resolver(options)
    resolver.setServers([`127.0.0.1:${this.#socket.address().port}`])
    return resolver
  }

  /** RFC 1035: the question back, and an answer per address of the wanted family. */
  #answer(query: Buffer): Buffer | undefined {
    const labels: string[] = []
    let at = 12
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const name = labels.join('.').toLowerCase()
    const type = query.readUInt16BE(at + 1)
    if (type === A) this.asked.set(name, (this.asked.get(name) ?? 0) + 1)
    const said = this.#names[name]?.(this.asked.get(name) ?? 1) ?? 'unknown'
    if (said === 'silence') return undefined
    const found = said === 'unknown' ? [] : said.filter((each) => isIPv4(each) === (type === A))
    const head = Buffer.from(query.subarray(0, 12))
    head.writeUInt16BE(0x8180 | (said === 'unknown' ? NO_SUCH_NAME : 0), 2)
    head.writeUInt16BE(found.length, 6)
    head.writeUInt32BE(0, 8)
    return Buffer.concat([head, query.subarray(12, at + 5), ...found.map((each) => record(type, each))])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.close()
    await closed
  }
}

function record(type: number, address: string): Buffer {
  const bytes = Buffer.from(ipaddr.parse(address).toByteArray())
  // The name of the question, the type, class IN, not to be kept.
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length])
  return Buffer.concat([head, bytes])
}
