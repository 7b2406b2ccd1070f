import { readdir, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { migrate } from '../src/store/migrate.ts'
import { startGateway } from './support/gateway.ts'
import { HeldTransaction, waitingBackends } from './support/held-transaction.ts'
import { Person } from './support/person.ts'
import { startPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

const MIGRATIONS = new URL('../src/store/migrations/', import.meta.url)
const RELEASED = ['0001-core.sql', '0002-functions.sql', '0003-epoch-guard.sql']

/** The database as version 0.2.0 made it, unless others are named. */
async function makeAsReleased(database: Database, names = RELEASED): Promise<void> {
  await database.sql`CREATE TABLE migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`
  for (const name of names) {
    await database.sql.unsafe(await readFile(new URL(name, MIGRATIONS), 'utf8'))
    await database.sql`INSERT INTO migrations (name) VALUES (${name})`
  }
}

test('what 0.2.0 left is there after the start: messages, counts, what was hidden', async () => {
  await using postgres = await startPostgres()
  const chat = '01a1fd8c-dfca-78c4-80c0-4278789c138a'
  let one: Person
  {
    await using database = new Database({ url: postgres.url, maxConnections: 1 })
    await makeAsReleased(database)
    const at = new Date(Date.now() - 3_600_000).toISOString()
    await database.sql.unsafe(`
      INSERT INTO users (id, display_name, display_name_folded) VALUES ('ann', 'Ann', 'ann');
      INSERT INTO inbox_heads (user_id, last_id, last_at) VALUES ('ann', 4, '${at}');
      INSERT INTO conversations (id, kind, created_at, members_count, last_seq, last_activity_at)
        VALUES ('${chat}', 'group', '${at}', 2, 4, '${at}');
      INSERT INTO members (conversation_id, user_id, role, joined_at, from_seq, read_seq, hidden)
        VALUES ('${chat}', 'ann', 'owner', '${at}', 1, 1, true);
      INSERT INTO messages (conversation_id, seq, id, sender_id, text, created_at)
        SELECT '${chat}', n, gen_random_uuid(), CASE n WHEN 3 THEN 'ann' ELSE 'ben' END, 'text ' || n, '${at}' FROM generate_series(1, 4) n;
      INSERT INTO inbox (user_id, id, at, type, conversation_id, seq)
        SELECT 'ann', n, '${at}', 'message.created', '${chat}', n FROM generate_series(1, 4) n`)
  }
  await using gateway = await startGateway(postgres.url)
  one = await Person.signUp(gateway.url)
  {
    await using database = new Database({ url: postgres.url, maxConnections: 1 })
    // Whoever signed up just now is Ann.
    await database.sql`DELETE FROM inbox_heads WHERE user_id = ${one.id}`
    for (const table of ['members', 'inbox_heads', 'inbox'])
      await database.sql`UPDATE ${database.sql(table)} SET user_id = ${one.id} WHERE user_id = 'ann'`
    await database.sql`UPDATE messages SET sender_id = ${one.id} WHERE sender_id = 'ann'`
  }
  const { body } = await one.call<{ conversations: Conversation[] }>('GET', '/v1/conversations?hidden=true')
  expect(body.conversations[0]).toMatchObject({ id: chat, unread_count: 2, mention_count: 0, hidden: true })
  expect(body.conversations[0]?.last_message).toMatchObject({ seq: 4, text: 'text 4' })
  const page = await one.call<{ messages: Message[] }>('GET', `/v1/conversations/${chat}/messages`)
  expect(page.body.messages.map(({ text }) => text)).toEqual([1, 2, 3, 4].map((n) => `text ${n}`))
  expect((await one.readAll()).events.map((event) => event.message?.text)).toEqual(
    page.body.messages.map(({ text }) => text),
  )
  expect((await one.send(chat, 'goes on')).body.seq).toBe(5)
  expect((await one.call<Message>('GET', `/v1/conversations/${chat}/messages/5`)).body.text).toBe('goes on')
})

test('behind a dump that is being made a migration waits in turns: those who serve go on', async () => {
  await using postgres = await startPostgres()
  await using database = new Database({ url: postgres.url })
  const names = (await readdir(MIGRATIONS)).sort()
  await makeAsReleased(
    database,
    names.filter((name) => name < '0009'),
  )
  await using dump = new HeldTransaction(postgres.url, (tx) => tx`SELECT 1 FROM devices`)
  await dump.held
  const waited: string[] = []
  const migrated = migrate(database, (name) => waited.push(name))
  await until('it to be in the way', async () => (await waitingBackends(database.sql)) > 0)
  // Cancelled after 5 s, were it in the row behind the migration.
  await database.sql`UPDATE devices SET last_seen_at = now()`
  await until('it to say what it waits for', () => waited.length > 0)
  await dump.commit()
  await migrated
  expect(waited).toEqual(['0010-pushes.sql'])
  const applied = await database.sql`SELECT name FROM migrations`
  expect(applied.map((row) => row.name).sort()).toEqual(names)
})
