import type { Snippet } from '../../protocol/types.ts'
import type { SearchQuery } from './query.ts'
import { wordsOf } from './words.ts'

/** Code points of a snippet, and how many of them stand before the first mark. */
const LENGTH = 160
const LEAD = 40
const MAX_MARKS = 20

type Range = [from: number, to: number]

/**
 * The piece of a text around the first thing found in it, and where in that piece something was found. Plain text with
 * places beside it, in code points: there is no markup that a client would have to trust. `cut`: what of it is missing here.
 */
export function snippetOf(text: string, query: SearchQuery, cut = { before: false, behind: false }): Snippet {
  const found = marksIn(text, query)
  const characters = Array.from(text)
  const places = toCodePoints(characters, found)
  const first = places[0]?.[0] ?? 0
  const isShort = characters.length <= LENGTH
  const start = isShort ? 0 : Math.max(0, Math.min(first - LEAD, characters.length - LENGTH))
  const end = Math.min(characters.length, start + LENGTH)
  const lead = start > 0 || cut.before ? '…' : ''
  const shift = lead.length - start
  return {
    text: lead + characters.slice(start, end).join('') + (end < characters.length || cut.behind ? '…' : ''),
    highlights: places
      .filter(([from]) => from < end)
      .slice(0, MAX_MARKS)
      .map(([from, to]) => [from + shift, Math.min(to, end) + shift]),
  }
}

/** In UTF-16 code units; what touches or overlaps is one. */
function marksIn(text: string, query: SearchQuery): Range[] {
  const ranges: Range[] = []
  for (const word of wordsOf(text)) {
    const length = query.marks(word)
    if (length === 0) continue
    const last = ranges.at(-1)
    if (last && word.from <= last[1] && (word.of || word.from < last[1])) {
      last[1] = Math.max(last[1], word.from + length)
    } else if (ranges.push([word.from, word.from + length]) > MAX_MARKS) break
  }
  return ranges
}

function toCodePoints(characters: readonly string[], ranges: readonly Range[]): Range[] {
  const edges = new Map<number, number>()
  const wanted = new Set(ranges.flat())
  let unit = 0
  for (const [index, character] of characters.entries()) {
    if (wanted.has(unit)) edges.set(unit, index)
    unit += character.length
  }
  return ranges.map(([from, to]) => [
    edges.get(from) ?? characters.length,
    edges.get(to) ?? characters.length,
  ])
}
