import { wordsOf } from './words.ts'

/**
 * Code points of a text that have their words in one vector: one of Postgres' ends at 1 MB and at 16,383 places. Words of
 * one query have to stand in one part; neighbouring parts share a few, so that no phrase is torn.
 */
export const PART_LENGTH = 8_000
const OVERLAP = 200

/** The lexeme that tells what a conversation says from what all others say. No word has a colon. */
export function conversationLexeme(id: string): string {
  return `:${id.replaceAll('-', '')}`
}

/** The vectors of a text, each with where its part begins. A text without words has none. */
export function* partsOf(
  text: string,
  conversation: string,
): Generator<{ text_from: number; words: string }> {
  if (text.length <= PART_LENGTH) {
    yield* partOf(text, 0, conversation)
    return
  }
  const characters = Array.from(text)
  for (let from = 0; from === 0 || from + OVERLAP < characters.length; from += PART_LENGTH - OVERLAP) {
    yield* partOf(characters.slice(from, from + PART_LENGTH).join(''), from, conversation)
  }
}

function* partOf(text: string, text_from: number, conversation: string) {
  const places = new Map<string, number[]>()
  for (const { term, position } of wordsOf(text)) {
    const known = places.get(term)
    if (known) known.push(position)
    else places.set(term, [position])
  }
  if (places.size === 0) return
  const lexemes = Array.from(places, ([term, positions]) => `'${term}':${positions.join(',')}`)
  yield { text_from, words: `${lexemes.join(' ')} '${conversationLexeme(conversation)}'` }
}
