/** A frame of an event stream; log events have no name. */
export type Frame = { event: string; id: string; data: string }

/** Cuts a stream into frames: what is not whole is kept for the next bytes, and lost with the connection. */
export class FrameCutter {
  #rest = ''

  cut(text: string): Frame[] {
    const frames: Frame[] = []
    this.#rest += text
    let from = 0
    for (let end = this.#rest.indexOf('\n\n'); end >= 0; end = this.#rest.indexOf('\n\n', from)) {
      frames.push(parse(this.#rest.slice(from, end)))
      from = end + 2
    }
    if (from > 0) this.#rest = this.#rest.slice(from)
    return frames
  }
}

function parse(text: string): Frame {
  const frame = { event: '', id: '', data: '' }
  for (const line of text.split('\n')) {
    if (line.startsWith('data: ')) frame.data += line.slice(6)
    else if (line.startsWith('id: ')) frame.id = line.slice(4)
    else if (line.startsWith('event: ')) frame.event = line.slice(7)
  }
  return frame
}
