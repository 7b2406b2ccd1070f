import { expect, test } from 'vitest'
import { type Frame, SseParser } from './sse-parser.ts'

const TEXT =
  ': padding\nretry: 2000\nevent: hello\nid: e-1\ndata: {"a":"grün 🦊"}\n\ndata: one\ndata:two\n\nid: e-2\ndata\n\nevent: none\n\nid:\ndata:  x\n\ndata: unfinished'
const FRAMES: Frame[] = [
  { event: 'hello', id: 'e-1', data: '{"a":"grün 🦊"}' },
  { event: '', data: 'one\ntwo' },
  { event: '', id: 'e-2', data: '' },
  { event: '', id: '', data: ' x' },
]

function parse(chunks: Uint8Array[]): Frame[] {
  const parser = new SseParser()
  return chunks.flatMap((chunk) => parser.push(chunk))
}

const bytesOf = (text: string) => new TextEncoder().encode(text)

test.each([
  ['LF', TEXT],
  ['CRLF', TEXT.replaceAll('\n', '\r\n')],
  ['CR', TEXT.replaceAll('\n', '\r')],
  ['a byte order mark', `\uFEFF${TEXT}`],
])('with %s, wherever it is split, the frames are the same', (_, text) => {
  const bytes = bytesOf(text)
  expect(parse([bytes])).toEqual(FRAMES)
  expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(FRAMES)
  for (let at = 0; at <= bytes.length; at++) {
    expect(parse([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(FRAMES)
  }
})

test('a frame is handed out with its empty line, not later', () => {
  const parser = new SseParser()
  expect(parser.push(bytesOf('data: x\r\n'))).toEqual([])
  expect(parser.push(bytesOf('\r'))).toEqual([{ event: '', data: 'x' }])
  expect(parser.push(bytesOf('\ndata: y\n\n'))).toEqual([{ event: '', data: 'y' }])
})
