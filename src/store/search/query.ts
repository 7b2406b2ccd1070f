import { type Word, wordsOf } from './words.ts'

/** What somebody looks for, as Postgres understands it and as it is marked in a text. */
export type SearchQuery = {
  /** A `tsquery`, made of terms that need no escaping: no input is an error of syntax. */
  tsquery: string
  /** Whether a word of a text is one of those looked for: how much of it, in UTF-16 code units. */
  marks(word: Word): number
}

/** More make no query any better, and each costs a look into the index. */
const MAX_CHUNKS = 16
const MAX_TERMS = 48
/** The word that is being typed is taken for a beginning from so many letters on: one or two begin too many. */
const MIN_PREFIX = 3

type Term = { term: string; position: number; prefix: boolean }

/**
 * Reads what was typed: words, all of which have to be there, in any order; the last one may be a beginning; `"…"` and what
 * has no blank in it (an address, a name in code) stand in that order. Nothing if there is no word in it.
 */
export function parseQuery(text: string): SearchQuery | undefined {
  const chunks = [...text.replace(/[“”„«»]/g, '"').matchAll(/"([^"]*)"?|[^\s"]+/g)]
    .slice(0, MAX_CHUNKS)
    .map(([whole, quoted], index, all) => ({
      text: quoted ?? whole,
      isOpen: quoted === undefined && index === all.length - 1,
    }))
  const phrases: Term[][] = []
  let room = MAX_TERMS
  for (const chunk of chunks) {
    const terms = termsOf(chunk.text, chunk.isOpen).slice(0, room)
    room -= terms.length
    if (terms.length > 0) phrases.push(terms)
  }
  if (phrases.length === 0) return undefined
  return { tsquery: [...new Set(phrases.map(asPhrase))].join(' & '), marks: marker(phrases.flat()) }
}

function termsOf(text: string, isOpen: boolean): Term[] {
  const words = [...wordsOf(text)]
  const [first] = words
  // A name alone is that name; its words are in the index beside it.
  const isName = first?.term.startsWith('@') === true && first.from === 0
  const counted = isName && first ? [first] : words.filter(({ term }) => !term.startsWith('@'))
  const inner = counted.filter((word, n) => word.of !== 'last' || counted[n - 1]?.of !== 'pair')
  return inner.map(({ term, position, of }, n) => ({
    term,
    position,
    // A single character begins pairs; the last word may be unfinished.
    prefix: of === 'last' || (isOpen && !of && n === inner.length - 1 && term.length >= MIN_PREFIX),
  }))
}

/** `'a' <-> 'b'`; what stands between them in the text stands between them here. */
function asPhrase(terms: Term[]): string {
  return terms
    .map(({ term, position, prefix }, n) => {
      const before = terms[n - 1]
      const distance = before ? ` <${position - before.position}> ` : ''
      return `${distance}'${term}'${prefix ? ':*' : ''}`
    })
    .join('')
}

function marker(terms: Term[]): (word: Word) => number {
  const whole = new Set(terms.map(({ term }) => term))
  const prefixes = terms.filter(({ prefix }) => prefix).map(({ term }) => term)
  return ({ term, from, to, of }) => {
    if (whole.has(term)) return to - from
    const prefix = prefixes.find((each) => term.startsWith(each))
    if (prefix === undefined) return 0
    return of ? Math.min(prefix.length, to - from) : to - from
  }
}
