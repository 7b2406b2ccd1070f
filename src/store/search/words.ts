/**
 * What a text is found by. Made here and not by Postgres' own parser, whose idea of a letter depends on the locale of
 * the database: words without case and accents, `@name`s, symbols, and for scripts without blanks pairs of characters.
 */
export type Word = {
  term: string
  /** Which word of the text it is; a `@name` stands where its first word does. */
  position: number
  /** Where it stands in the text, in UTF-16 code units. */
  from: number
  to: number
  /** Of a script without blanks: `pair`, or `last` for the character that no pair begins with. */
  of?: 'pair' | 'last'
}

/** A lexeme of Postgres ends at 2 KB; nobody types more of a word. */
const MAX_TERM = 64

const RUN = /(?<![\p{L}\p{N}])@(?=[A-Za-z0-9])|[\p{L}\p{N}\p{M}]+|\p{Extended_Pictographic}/gu
const NAME = /[A-Za-z0-9._-]{0,63}[A-Za-z0-9]/y
/** Scripts without blanks, and Korean, where particles stick to words. */
const UNSPACED =
  /[\p{sc=Han}\p{scx=Hira}\p{scx=Kana}\p{sc=Hang}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]+/gu
const FIRST_UNSPACED = /[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\uffdc\ud840-\ud8bf]/
const NON_ASCII = /[^\0-\x7f]/
/** Accents of Latin, Greek and Cyrillic; vowel points of Hebrew and Arabic. Other scripts' marks are letters to them. */
const MARKS = /[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u0640\u064b-\u065f\u0670]/g
const LETTERS: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ı: 'i',
  ς: 'σ',
}
const LETTER = /[ßæœøłđðþıς]/g

/** Without case, accents and width, the same in every locale. */
function foldWord(word: string): string {
  if (!NON_ASCII.test(word)) return word.toLowerCase()
  const bare = word.normalize('NFKD').replace(MARKS, '').toLowerCase()
  return bare.replace(LETTER, (letter) => LETTERS[letter] ?? letter).normalize('NFC')
}

/** The words of a text, in order. */
export function* wordsOf(text: string): Generator<Word> {
  let position = 0
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (run === '@') {
      NAME.lastIndex = index + 1
      const name = NAME.exec(text)?.[0] ?? ''
      yield {
        term: `@${name.toLowerCase()}`,
        position: position + 1,
        from: index,
        to: index + 1 + name.length,
      }
    } else {
      const words = FIRST_UNSPACED.test(run) ? ofMixedRun(run, index) : [spaced(run, index, 0, run.length)]
      for (const word of words) {
        // Of accents that stand alone nothing is left, and Postgres takes no empty lexeme.
        if (word.term === '') continue
        position += 1
        yield { ...word, position }
      }
    }
  }
}

function* ofMixedRun(run: string, index: number): Generator<Omit<Word, 'position'>> {
  let end = 0
  for (const { 0: unspaced, index: begin } of run.matchAll(UNSPACED)) {
    if (begin > end) yield spaced(run, index, end, begin)
    end = begin + unspaced.length
    yield* pairs(unspaced, index + begin)
  }
  if (end < run.length) yield spaced(run, index, end, run.length)
}

function spaced(run: string, index: number, from: number, to: number) {
  return { term: clip(foldWord(run.slice(from, to))), from: index + from, to: index + to }
}

function* pairs(run: string, index: number): Generator<Omit<Word, 'position'>> {
  const characters = charactersOf(run)
  let from = index
  for (const [n, { folded, length }] of characters.entries()) {
    const next = characters[n + 1]
    const to = from + length + (next?.length ?? 0)
    yield { term: folded + (next?.folded ?? ''), from, to, of: next ? 'pair' : 'last' }
    from += length
  }
}

/** What is written as several code points and read as one: letters of Korean, kana of half width with their marks. */
const CLUSTER = /[\u1100-\u115f]+[\u1160-\u11ff]*|.[\uff9e\uff9f\p{M}]*/gsu

/** The characters of a run as they are compared, and how long each is as it is written. */
function charactersOf(run: string): { folded: string; length: number }[] {
  const written = Array.from(run)
  const folded = Array.from(foldWord(run))
  if (folded.length === written.length) {
    return folded.map((character, n) => ({ folded: character, length: written[n]?.length ?? 0 }))
  }
  return (run.match(CLUSTER) ?? []).flatMap((cluster) =>
    Array.from(foldWord(cluster), (character, n) => ({
      folded: character,
      length: n === 0 ? cluster.length : 0,
    })),
  )
}

function clip(term: string): string {
  if (term.length <= MAX_TERM) return term
  return term.slice(0, MAX_TERM).replace(/[\ud800-\udbff]$/, '')
}
