import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FoundMessage } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

type Found = { messages: FoundMessage[]; next: string | null }

const { postgres, gateway } = useGateway()
let alice: Person
let bob: Person
let chat: string
let database: Database

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
  database = new Database({ url: postgres.url, maxConnections: 1 })
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

async function search(
  person: Person,
  query: string,
  more: Record<string, string | number> = {},
): Promise<Found> {
  const fields = Object.entries({ query, ...more }).map(([name, value]) => [name, String(value)])
  const answer = await person.call<Found>('GET', `/v1/search?${new URLSearchParams(fields)}`)
  expect(answer.status, answer.text).toBe(200)
  return answer.body
}

const textsOf = ({ messages }: Found) => messages.map(({ text }) => text)
const found = async (person: Person, query: string, more = {}) => textsOf(await search(person, query, more))

/** What is marked in a snippet. */
function marked({ snippet }: FoundMessage): string[] {
  const characters = Array.from(snippet.text)
  return snippet.highlights.map(([from, to]) => characters.slice(from, to).join(''))
}

/** All pages of `limit`, one after the other. */
async function allPages(person: Person, query: string, limit: number, more = {}): Promise<FoundMessage[]> {
  const all: FoundMessage[] = []
  for (let before: string | null = null; ; ) {
    const page: Found = await search(person, query, { ...more, limit, ...(before && { before }) })
    all.push(...page.messages)
    expect(page.messages.length).toBeLessThanOrEqual(limit)
    before = page.next
    if (!before) return all
    expect(page.messages.length).toBeGreaterThan(0)
  }
}

describe('a word is found', () => {
  test.each([
    ['in any case', 'Good Morning Everyone', 'mOrNiNg', ['Morning']],
    ['without its accents', 'Ça va, café crème à Málaga?', 'cafe creme malaga', ['café', 'crème', 'Málaga']],
    ['with accents that the text has not', 'a cafe in Malmo', 'café malmö', ['cafe', 'Malmo']],
    [
      'whatever the writing of its sharp s',
      'Straßenbahn und Maße',
      'MASSE strassenbahn',
      ['Straßenbahn', 'Maße'],
    ],
    ['in Cyrillic', 'Привет, как дела? Ёлка!', 'елка ПРИВЕТ', ['Привет', 'Ёлка']],
    ['in Greek', 'Καλημέρα κόσμος', 'ΚΟΣΜΟΣ καλημερα', ['Καλημέρα', 'κόσμος']],
    ['in Arabic, with vowel points or not', 'مُحَمَّد رسول', 'محمد', ['مُحَمَّد']],
    ['in Hindi', 'नमस्ते दुनिया', 'दुनिया', ['दुनिया']],
    [
      'by its beginning, if it is the last one',
      'dinner with Hieronymus',
      'dinner hier',
      ['dinner', 'Hieronymus'],
    ],
    ['in full width', 'ＴＯＫＹＯ ９９', 'tokyo 99', ['ＴＯＫＹＯ', '９９']],
    ['as a name', 'ask @Carol.Smith-2 about it', '@carol.smith-2', ['@Carol.Smith-2']],
    [
      'as a part of a link',
      'see https://example.org/a_page?x=1#top',
      'example.org/a_page',
      ['example', 'org', 'a', 'page'],
    ],
    ['in code', 'call foo_bar(baz) -> undefined', 'foo_bar(baz)', ['foo', 'bar', 'baz']],
    ['as a symbol', 'done 🎉🎉', '🎉', ['🎉', '🎉']],
    ['in Korean, two characters with a particle on them', '내일 회의를 합시다', '회의', ['회의']],
    ['in Korean, at the end', '오늘은 긴급회의', '회의', ['회의']],
    ['in Chinese, inside a longer run', '我们明天下午开会议讨论', '会议', ['会议']],
    ['in Japanese, inside a longer run', '明日の会議室は三階です', '会議', ['会議']],
    ['in Japanese, several characters', '明日の会議室は三階にあります', '会議室は', ['会議室は']],
    ['in katakana of half width', 'ｼﾝﾊﾞｼ駅前', 'シンバシ', ['ｼﾝﾊﾞｼ']],
    ['in Korean, written letter by letter', '주간회의록'.normalize('NFD'), '회의', ['회의'.normalize('NFD')]],
    ['as a single character', '三階の窓', '窓', ['窓']],
    ['in Thai', 'พรุ่งนี้เราประชุมกัน', 'ประชุม', ['ประชุม']],
    ['in Lao', 'ສະບາຍດີຕອນເຊົ້າ', 'ຕອນ', ['ຕອນ']],
    ['in Khmer', 'ជំរាបសួរអ្នក', 'សួរ', ['សួរ']],
    ['in Burmese', 'မင်္ဂလာပါ', 'လာပါ', ['လာပါ']],
  ])('%s', async (_, text, query, marks) => {
    await alice.send(chat, text)
    const messages = await until('the message', async () => {
      const found = await search(bob, query)
      return found.messages[0]?.text === text && found.messages
    })
    expect(messages.flatMap(marked).slice(0, marks.length)).toEqual(marks)
  })

  test('and what is nowhere is not, nor half of it, nor in the wrong order', async () => {
    await alice.send(chat, 'the quick brown fox jumps')
    await alice.send(chat, '東京都庁')
    expect(await found(bob, 'quick zebra')).toEqual([])
    expect(await found(bob, 'uick')).toEqual([])
    expect(await found(bob, 'qui brown')).toEqual([])
    expect(await found(bob, '京東')).toEqual([])
    expect(await found(bob, '"brown quick"')).toEqual([])
    expect(await found(bob, '"quick brown" jumps')).toEqual(['the quick brown fox jumps'])
    expect(await found(bob, '“quick brown”')).toEqual(['the quick brown fox jumps'])
    expect(await found(bob, 'brown quick')).toEqual(['the quick brown fox jumps'])
  })
})

test.each([
  "'",
  "''",
  '"',
  '\\',
  "\\'",
  '&',
  '|',
  '!',
  '!!!',
  '( )',
  ':*',
  'a:*b',
  '<->',
  '<2>',
  '* & !',
  "'; DROP TABLE messages; --",
  '%',
  '_',
  '\u{1f600}',
  '\u202e',
  '\ufeff',
  '@',
  '@@',
  ':',
  'a'.repeat(256),
  '会'.repeat(256),
  '"'.repeat(256),
  "a' ".repeat(80),
  '\n\t',
  '\u0301',
  'ـ',
  '"\u0301"',
  'a \u0301漢字',
])('whatever is looked for is no error: %j', async (query) => {
  expect(await search(alice, query)).toMatchObject({ messages: expect.any(Array), next: null })
})

test('what is no query is told why', async () => {
  const get = (query: string) => alice.call('GET', `/v1/search?${query}`)
  for (const query of [
    '',
    'query=',
    `query=${'a'.repeat(257)}`,
    'query=a%00',
    'query=a&limit=0',
    'query=a&limit=51',
    'query=a&order=best',
  ]) {
    expectProblem(await get(query), 422, 'validation_failed')
  }
  for (const before of [
    'x',
    'bnVsbA',
    'W10',
    'WzEsMiwzXQ',
    Buffer.from('[1e300,"x",1]').toString('base64url'),
  ]) {
    expectProblem(await get(`query=a&before=${before}`), 422, 'validation_failed')
  }
  expectProblem(await get('query=a&conversation_id=x'), 422, 'validation_failed')
})

test('newest first, or the best; page by page each once, whatever the limit', async () => {
  const group = await alice.group([bob])
  for (let n = 0; n < 23; n += 1) {
    const text =
      n === 3
        ? 'pagination pagination pagination pagination'
        : `${'some more words '.repeat(n % 5)}pagination ${n}`
    await alice.send(n % 2 === 0 ? group : chat, text)
  }
  const whole = (await search(bob, 'pagination', { limit: 50 })).messages
  expect(whole).toHaveLength(23)
  expect(whole.map(({ text }) => Number(/\d+$/.exec(text)?.[0] ?? 3))).toEqual(
    Array.from({ length: 23 }, (_, n) => 22 - n),
  )
  const best = (await search(bob, 'pagination', { limit: 50, order: 'rank' })).messages
  expect(best[0]?.text).toBe('pagination pagination pagination pagination')
  expect(best).toHaveLength(23)
  for (const limit of [1, 2, 7, 22, 23, 24]) {
    expect(await allPages(bob, 'pagination', limit)).toEqual(whole)
    expect(await allPages(bob, 'pagination', limit, { order: 'rank' })).toEqual(best)
  }
  const inGroup = whole.filter(({ conversation_id }) => conversation_id === group)
  expect(await allPages(bob, 'pagination', 5, { conversation_id: group })).toEqual(inGroup)
  // What is said meanwhile moves nothing.
  const first = await search(bob, 'pagination', { limit: 10 })
  await alice.send(chat, 'pagination meanwhile')
  const second = await search(bob, 'pagination', { limit: 50, before: first.next ?? '' })
  expect([...first.messages, ...second.messages]).toEqual(whole)
})

test('a long text never fails a send and is found by its first words and its last, each message once', {
  timeout: 60_000,
}, async () => {
  const filler = Array.from({ length: 14_000 }, (_, n) => `w${n}`)
    .join(' ')
    .slice(0, 99_000)
  const text = `firstword ${filler} needle in the end lastword`
  const wide = `会社${'漢字'.repeat(49_000)}最後の単語`
  for (const each of [
    text,
    wide,
    'x'.repeat(100_000),
    '\u0301'.repeat(100_000),
    "'\\".repeat(50_000),
    '🎉'.repeat(100_000),
  ]) {
    expect((await alice.send(chat, each)).status).toBe(201)
  }
  await until('all words', async () => (await search(bob, 'lastword')).messages.length === 1)
  for (const query of ['firstword', 'lastword', '"needle in the end"', 'w7000', '"w1599 w1600 w1601"']) {
    const { messages } = await search(bob, query)
    expect(messages, query).toHaveLength(1)
    const [message] = messages
    expect(message?.truncated).toBe(true)
    expect(message && marked(message).join(' '), query).toBe(query.replaceAll('"', ''))
  }
  await until('all characters', async () => (await search(bob, '最後の単語')).messages.length === 1)
  expect(await search(bob, '漢字')).toMatchObject({ messages: [{ truncated: true }], next: null })
  expect((await search(bob, 'xxxxxxxxxx')).messages).toHaveLength(1)
})

describe('P6: nobody finds what they may not see', () => {
  test('a stranger, a removed member, one who joined later', async () => {
    const [owner, early, late, stranger] = await Promise.all(
      Array.from({ length: 4 }, () => Person.signUp(gateway.url)),
    )
    if (!owner || !early || !late || !stranger) throw new Error('nobody')
    const joined = await owner.group([early])
    const open = await owner.group([early], { history: 'all' })
    for (const group of [joined, open]) await owner.send(group, `secretplan before ${group}`)
    for (const group of [joined, open]) {
      await owner.call('PUT', `/v1/conversations/${group}/members/${late.id}`)
      await owner.send(group, `secretplan after ${group}`)
    }
    for (const order of ['time', 'rank']) {
      expect((await found(early, 'secretplan', { order })).sort()).toHaveLength(4)
      expect((await found(late, 'secretplan', { order })).sort()).toEqual(
        [`secretplan after ${joined}`, `secretplan after ${open}`, `secretplan before ${open}`].sort(),
      )
      expect(await found(late, 'secretplan before', { conversation_id: joined, order })).toEqual([])
      expect(await found(stranger, 'secretplan', { order })).toEqual([])
    }
    expectProblem(
      await stranger.call('GET', `/v1/search?query=secretplan&conversation_id=${joined}`),
      404,
      'not_found',
    )
    await owner.call('DELETE', `/v1/conversations/${joined}/members/${early.id}`)
    expect(await found(early, 'secretplan')).toHaveLength(2)
    expectProblem(
      await early.call('GET', `/v1/search?query=secretplan&conversation_id=${joined}`),
      404,
      'not_found',
    )
    expectProblem(await early.call('GET', `/v1/search?query=!&conversation_id=${joined}`), 404, 'not_found')
  })

  test('a deleted text is in no result and in no index; an edited one is found by its new words alone', async () => {
    const { body: gone } = await alice.send(chat, 'regrettable words')
    const { body: changed } = await alice.send(chat, 'mispelled words')
    expect(await found(bob, 'regrettable')).toEqual(['regrettable words'])
    expect(await found(bob, 'mispelled')).toEqual(['mispelled words'])
    const path = (seq: number) => `/v1/conversations/${chat}/messages/${seq}`
    expect((await alice.call('DELETE', path(gone.seq))).status).toBeLessThan(300)
    expect((await alice.call('PATCH', path(changed.seq), { text: 'misspelled words' })).status).toBe(200)
    expect(await found(bob, 'regrettable')).toEqual([])
    expect(await found(bob, 'mispelled')).toEqual([])
    expect(await found(bob, 'misspelled')).toEqual(['misspelled words'])
    const indexed = await database.sql`SELECT seq, words::text AS words FROM search_words
      WHERE conversation_id = ${chat} AND seq = ANY (${[gone.seq, changed.seq]}::bigint[])`
    expect(indexed.map(({ seq }) => seq)).toEqual([changed.seq])
    expect(indexed[0]?.words).not.toContain('mispelled')
  })

  test('words leave the index in the transaction that takes the text, also where the text is taken by hand', async () => {
    const { body } = await alice.send(chat, 'erasedbyhand')
    expect(await found(bob, 'erasedbyhand')).toHaveLength(1)
    await database.sql`UPDATE messages SET text = '' WHERE conversation_id = ${chat} AND seq = ${body.seq}`
    const left =
      await database.sql`SELECT 1 FROM search_words WHERE conversation_id = ${chat} AND seq = ${body.seq}`
    expect(left).toHaveLength(0)
    expect(await found(bob, 'erasedbyhand')).toEqual([])
  })
})

test('what cannot be put into the index is left out, and what is behind it is not', async () => {
  await database.sql`INSERT INTO search_queue (conversation_ids, seqs, created_ats)
    VALUES (ARRAY[gen_random_uuid(), NULL], ARRAY[NULL::bigint, 1], ARRAY[now(), NULL])`
  await alice.send(chat, 'behindthebadone')
  await until('it', async () => (await found(bob, 'behindthebadone')).length === 1)
})

test('accents that stand alone are no words, and cost no others theirs', async () => {
  const group = await alice.group([bob])
  const texts = ['aloneone', '\u0301', 'ـ', '\u0301漢字', 'alonetwo']
  const messages = texts.map((text, n) => ({ conversation_id: group, text, client_id: `alone-${n}` }))
  expect((await alice.call('POST', '/v1/messages', { messages })).status).toBe(200)
  await until('both', async () => (await found(bob, 'alone')).length === 2)
  expect(await found(bob, '漢字', { conversation_id: group })).toEqual(['\u0301漢字'])
})

test('much long text at once is put into the index bit by bit, not for ever tried in vain', {
  timeout: 60_000,
}, async () => {
  const group = await alice.group([bob])
  const han = Array.from({ length: 99_900 }, (_, n) =>
    String.fromCharCode(0x4e00 + ((n * 7919) % 20_000)),
  ).join('')
  await database.sql`
    INSERT INTO messages (conversation_id, seq, id, kind, sender_id, text, created_at)
    SELECT ${group}, n, gen_random_uuid(), 'user', ${alice.id}, ${han}::text || ' flood' || n, date_trunc('milliseconds', clock_timestamp())
    FROM generate_series(1, 200) n`
  await database.sql`UPDATE conversations SET last_seq = 200 WHERE id = ${group}`
  await until('the first of them', async () => (await found(bob, 'flood')).length > 0, 40_000)
  for (let n = 0; n < 20; n++) await alice.send(chat, `behindtheflood ${n}`)
  await until('what was said after it', async () => (await found(bob, 'behindtheflood')).length === 20)
  expect((await allPages(bob, 'flood', 50)).length).toBeLessThan(200)
  // Not from the queue: a pass that is at it would put back what it did not come to.
  await database.sql`DELETE FROM messages WHERE conversation_id = ${group}`
})

test('many writers, every message is found once', async () => {
  const group = await alice.group([bob])
  await Promise.all(
    Array.from({ length: 200 }, (_, n) => (n % 2 === 0 ? alice : bob).send(group, `concurrently unique${n}`)),
  )
  await until('all', async () => {
    const all = await allPages(alice, 'concurrently', 50)
    return all.length === 200 && new Set(all.map(({ seq }) => seq)).size === 200
  })
})
