/** One event of a stream. `id` is there only where the frame itself had one. */
export type Frame = { event: string; id?: string; data: string }

/**
 * An incremental parser of Server-Sent Events (WHATWG HTML 9.2.6) over bytes that may be split anywhere: lines end with
 * LF, CR or CRLF, a byte order mark is skipped, comments and unknown fields are ignored.
 */
export class SseParser {
  readonly #decoder = new TextDecoder()
  #rest = ''
  #endedWithReturn = false
  #frame: { event: string; id?: string; data: string[] } = { event: '', data: [] }

  /** Takes what came and returns the frames that are whole by now. */
  push(bytes: Uint8Array): Frame[] {
    return this.pushText(this.#decoder.decode(bytes, { stream: true }))
  }

  /** The same for what is decoded already. */
  pushText(chunk: string): Frame[] {
    let text = chunk
    if (text === '') return []
    // The LF of a CRLF that was split is no line of its own.
    if (this.#endedWithReturn && text.startsWith('\n')) text = text.slice(1)
    this.#endedWithReturn = text === '' ? false : text.endsWith('\r')
    const lines = (this.#rest + text).split(/\r\n|\n|\r/)
    this.#rest = lines.pop() ?? ''
    return lines.flatMap((line) => this.#line(line))
  }

  #line(line: string): Frame[] {
    if (line === '') return this.#dispatch()
    // Up to the first colon and behind it, one blank left out.
    const [name, value = ''] = line.split(/: ?(.*)/s)
    if (name === 'data') this.#frame.data.push(value)
    else if (name === 'event') this.#frame.event = value
    else if (name === 'id') this.#frame.id = value
    return []
  }

  #dispatch(): Frame[] {
    const { event, id, data } = this.#frame
    this.#frame = { event: '', data: [] }
    if (data.length === 0) return []
    return [{ event, data: data.join('\n'), ...(id !== undefined && { id }) }]
  }
}
