import { get, type IncomingMessage } from 'node:http'
import { until } from './wait.ts'

/** One frame of an event stream. */
export type Frame = { event?: string; id?: string; data: string; retry?: number }

/** An event that is in no log, with the fields of its type. */
export type PassingEvent = { id: null; type: string; at: string; user_id: string; [field: string]: unknown }

/** An open event stream, read by a parser of the tests' own. */
export class Stream implements Disposable {
  readonly frames: Frame[] = []
  /** As they came from the socket: what was written apart arrives apart. */
  readonly chunks: string[] = []
  readonly response: IncomingMessage
  ended = false
  #rest = ''

  constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => this.#take(chunk))
    response.on('close', () => {
      this.ended = true
    })
    response.on('error', () => {})
  }

  /** Log events so far, parsed. */
  get events(): { id: number; type: string; message?: { text: string; seq: number } }[] {
    return this.#unnamed().filter(({ id }) => id !== null)
  }

  /** Events so far that are in no log, parsed; those of one type, if given. */
  passing(type?: string): PassingEvent[] {
    return this.#unnamed().filter((event) => event.id === null && (type === undefined || event.type === type))
  }

  #unnamed() {
    return this.frames
      .filter((frame) => frame.event === undefined && frame.data !== '')
      .map(({ data }) => JSON.parse(data))
  }

  named(name: string): Frame[] {
    return this.frames.filter((frame) => frame.event === name)
  }

  /** The cursor that an `EventSource` would send when it reconnects. */
  get lastEventId(): string {
    return this.frames.findLast((frame) => frame.id !== undefined)?.id ?? ''
  }

  texts(): string[] {
    return this.events.flatMap((event) => (event.message ? [event.message.text] : []))
  }

  async waitForTexts(count: number): Promise<string[]> {
    return until(`${count} messages`, () => this.texts().length >= count && this.texts())
  }

  waitForFrame(name: string): Promise<Frame> {
    return until(`the frame ${name}`, () => this.named(name)[0])
  }

  waitForEnd(): Promise<boolean> {
    return until('the end of the stream', () => this.ended)
  }

  [Symbol.dispose](): void {
    this.response.destroy()
  }

  #take(chunk: string): void {
    this.chunks.push(chunk)
    const parts = (this.#rest + chunk).split('\n\n')
    this.#rest = parts.pop() ?? ''
    for (const part of parts) this.frames.push(parseFrame(part))
  }
}

function parseFrame(text: string): Frame {
  const frame: Frame = { data: '' }
  for (const line of text.split('\n')) {
    const [, field, value = ''] = /^(\w*):? ?(.*)$/s.exec(line) ?? []
    if (field === 'event') frame.event = value
    else if (field === 'id') frame.id = value
    else if (field === 'data') frame.data += value
    else if (field === 'retry') frame.retry = Number(value)
  }
  return frame
}

/** Opens a stream on a connection of its own. Rejects unless it is answered with 200. */
export function openStream(url: string, headers: Record<string, string>): Promise<Stream> {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => {
      if (response.statusCode === 200) resolve(new Stream(response))
      else reject(new Error(`answered ${response.statusCode}`))
    }).on('error', reject)
  })
}
