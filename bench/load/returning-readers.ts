import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { serveTasks } from '../support/worker.ts'

export type ReturningJob = {
  /** The node that all begin at, and those that they go to when it is gone. */
  url: string
  others: readonly string[]
  tokens: readonly string[]
}

const OPENING = 200
/** As a browser does: what `retry:` said, a half more or less. */
const RETRY_MS = 2_000
const CURSOR = /\nid: (\S+)\n/g

/** A stream that keeps nothing but its cursor, and comes back elsewhere when it breaks. */
class ReturningReader {
  isOpen = false
  events = 0
  returnedAt = 0
  #cursor = ''
  readonly #token: string
  readonly #nodes: readonly URL[]
  #isFirst = true

  constructor(nodes: readonly URL[], token: string) {
    this.#nodes = nodes
    this.#token = token
  }

  open(): void {
    const [first, ...others] = this.#nodes
    const url = this.#isFirst ? first : others[Math.floor(Math.random() * others.length)]
    if (!url) return
    const socket = connect({ host: url.hostname, port: Number(url.port) })
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', () => {})
    socket.on('close', () => void this.#comeBack())
    this.#ask(socket, url)
  }

  #ask(socket: Socket, url: URL): void {
    const after = this.#cursor === '' ? '' : `Last-Event-ID: ${this.#cursor}\r\n`
    socket.write(
      `GET /v1/events?as=sse HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${this.#token}\r\n${after}\r\n`,
    )
  }

  #take(text: string): void {
    for (const [, cursor = ''] of text.matchAll(CURSOR)) this.#cursor = cursor
    if (text.includes('\nevent: hello')) {
      this.isOpen = true
      this.returnedAt = performance.now()
    }
    this.events += text.split(/\ndata: \{"id":\d/).length - 1
  }

  async #comeBack(): Promise<void> {
    this.isOpen = false
    this.#isFirst = false
    await setTimeout(RETRY_MS * (0.5 + Math.random()))
    this.open()
  }
}

const readers: ReturningReader[] = []

async function open({ url, others, tokens }: ReturningJob): Promise<void> {
  const nodes = [url, ...others].map((each) => new URL(each))
  for (let from = 0; from < tokens.length; from += OPENING) {
    const opening = tokens.slice(from, from + OPENING).map((token) => new ReturningReader(nodes, token))
    readers.push(...opening)
    for (const reader of opening) reader.open()
    while (opening.some((reader) => !reader.isOpen)) await setTimeout(5)
  }
}

function look() {
  return {
    open: readers.filter((reader) => reader.isOpen).length,
    events: readers.reduce((sum, reader) => sum + reader.events, 0),
    fewest: Math.min(...readers.map((reader) => reader.events)),
    most: Math.max(...readers.map((reader) => reader.events)),
  }
}

const tasks = { open, look: (_: null) => look() }
export type ReturningReaderTasks = typeof tasks
serveTasks(tasks)
