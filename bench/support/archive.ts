import type { Database } from '../../src/store/database.ts'
import type { World } from './world.ts'

/** Years of messages in the conversations of a world, evenly over time. */
export type ArchivePlan = {
  /** Messages of each conversation, in the order of the world's plan. */
  sizes: readonly number[]
  /** Monthly partitions, this month's the last. */
  months: number
  /** Whether they can be searched; else only read. */
  searchable: boolean
}

/** A word in a tenth of all messages, in a hundredth, in a thousandth; `n` from 0 to 7. */
export const tenth = (n: number) => `tenth${'abcdefgh'[n]}`
export const hundredth = (n: number) => `hundredth${'abcdefgh'[n]}`
export const thousandth = (n: number) => `thousandth${'abcdefgh'[n]}`
/** A word in about ten messages; `n` below a tenth of the number of messages. */
export const rare = (n: number) => `rare${n}`

/** Fills the messages of a world set-wise, a month after the other, as if they had been sent then. */
export async function seedArchive(
  database: Database,
  world: World,
  plan: ArchivePlan,
  progress: (text: string) => void,
): Promise<void> {
  const sql = database.connect('longwave bench archive', 1, {
    statement_timeout: 0,
    maintenance_work_mem: '512MB',
    work_mem: '256MB',
  })
  const total = plan.sizes.reduce((sum, size) => sum + size, 0)
  try {
    await sql`CREATE TABLE bench_archive (id uuid, sender text, size bigint)`
    await sql`
      INSERT INTO bench_archive SELECT g.id, (SELECT min(m.user_id) FROM members m WHERE m.conversation_id = g.id), g.size
      FROM unnest(${[...world.conversationIds]}::uuid[], ${[...plan.sizes]}::bigint[]) AS g (id, size)`
    for (let month = 0; month < plan.months; month += 1) {
      await seedMonth(sql, plan, month, total)
      if (month % 6 === 5) progress(`month ${month + 1} of ${plan.months}`)
    }
    await sql`
      UPDATE conversations c SET last_seq = b.size, created_at = now() - make_interval(months => ${plan.months - 1}),
        last_activity_at = coalesce((SELECT m.created_at FROM messages m WHERE m.conversation_id = b.id AND m.seq = b.size), c.created_at)
      FROM bench_archive b WHERE b.id = c.id`
    await sql`UPDATE members m SET read_seq = greatest(b.size - 10, 0) FROM bench_archive b WHERE b.id = m.conversation_id`
    if (plan.searchable) await seedWords(sql, plan.months)
    await sql`DROP TABLE bench_archive`
    progress('statistics')
    await sql.unsafe('VACUUM (ANALYZE) messages')
    await sql.unsafe('VACUUM (ANALYZE) conversations, members, search_words')
  } finally {
    await sql.end({ timeout: 2 })
  }
}

type Sql = Database['sql']

/** The rows come in the order of time, as they would have, and get their key when all are there. */
async function seedMonth(sql: Sql, { months }: ArchivePlan, month: number, total: number): Promise<void> {
  const [bounds] = await sql<{ name: string; low: string; high: string }[]>`
    SELECT 'messages_' || to_char(t.low AT TIME ZONE 'UTC', 'YYYYMM') AS name, t.low::text AS low, (t.low + interval '1 month')::text AS high
    FROM (SELECT date_trunc('month', now(), 'UTC') - make_interval(months => ${months - 1 - month}::int) AS low) t`
  if (!bounds) throw new Error('a month has bounds')
  const { name, low, high } = bounds
  await sql.unsafe(`CREATE TABLE ${name} (LIKE messages INCLUDING DEFAULTS)`)
  await sql.unsafe(`
    INSERT INTO ${name} (conversation_id, seq, id, sender_id, text, client_id, created_at)
    SELECT b.id, s.seq, gen_random_uuid(), b.sender, ${text(total)}, 'seeded', t.at
      FROM bench_archive b
      CROSS JOIN LATERAL (SELECT b.size * ${month} / ${months} AS first, b.size * ${month + 1} / ${months} AS last) p
      CROSS JOIN LATERAL generate_series(p.first + 1, p.last) AS s (seq)
      CROSS JOIN LATERAL (SELECT date_trunc('milliseconds', timestamptz '${low}' + (least(timestamptz '${high}', now()) - timestamptz '${low}')
        * ((s.seq - p.first - 0.5 + (hashtext(b.id::text) % 1000) / 2100.0) / (p.last - p.first))::float8) AS at) t
     ORDER BY t.at`)
  await sql.unsafe(`ALTER TABLE ${name} ADD PRIMARY KEY (conversation_id, seq, created_at)`)
  await sql.unsafe(`ALTER TABLE messages ATTACH PARTITION ${name} FOR VALUES FROM ('${low}') TO ('${high}')`)
}

/** About 80 letters; what is random differs per row because it is said with the row. */
function text(total: number): string {
  const chance = (share: number, word: string) =>
    `CASE WHEN random() < ${share * 8} THEN ' ${word}' || substr('abcdefgh', 1 + ((s.seq + abs(hashtext(b.id::text))::bigint) % 8)::int, 1) ELSE '' END`
  const word = `' word' || (power(random(), 3) * 20000)::int`
  const tenths = Array.from(
    'abcdefgh',
    (letter) => `CASE WHEN random() < 0.1 THEN ' tenth${letter}' END`,
  ).join(', ')
  return `concat('the train is late again', ${Array(5).fill(word).join(', ')}, ${tenths}, ${chance(0.01, 'hundredth')},
    ${chance(0.001, 'thousandth')}, ' rare' || (random() * ${Math.floor(total / 10)})::int)`
}

/** What the indexer would make of these texts: Postgres' own parser sees the same words in them. */
async function seedWords(sql: Sql, months: number): Promise<void> {
  const years = await sql<{ year: number }[]>`
    SELECT DISTINCT extract(year FROM now() - make_interval(months => n))::int AS year FROM generate_series(0, ${months}::int) AS n`
  for (const { year } of years) {
    const name = `search_words_${year}`
    await sql.unsafe(`CREATE TABLE ${name} (LIKE search_words INCLUDING DEFAULTS)`)
    await sql.unsafe(`
      INSERT INTO ${name} (conversation_id, seq, created_at, words)
      SELECT conversation_id, seq, created_at, to_tsvector('simple', text) || (''':' || replace(conversation_id::text, '-', '') || '''')::tsvector
      FROM messages WHERE created_at >= '${year}-01-01Z' AND created_at < '${year + 1}-01-01Z' ORDER BY created_at`)
    await sql.unsafe(
      `ALTER TABLE search_words ATTACH PARTITION ${name} FOR VALUES FROM ('${year}-01-01Z') TO ('${year + 1}-01-01Z')`,
    )
  }
}
