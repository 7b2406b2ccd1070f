import { expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { readUsageDays, Usage } from '../src/store/usage.ts'
import { useGateway } from './support/suite.ts'

const { postgres } = useGateway()

test('what is written down twice at once is counted once, and what failed the next time', async () => {
  await using database = new Database({ url: postgres.url })
  let committed = 5
  await using usage = new Usage(
    database,
    () => committed,
    () => {},
  )
  usage.see('somebody')
  const today = async () => (await readUsageDays(database.sql, 1))[0]
  await Promise.all([usage.flush(), usage.flush()])
  expect(await today()).toMatchObject({ messages: 5, active_users: 1 })
  committed = 7
  await database.sql`ALTER TABLE usage_days RENAME TO elsewhere`
  await expect(usage.flush()).rejects.toThrow()
  await database.sql`ALTER TABLE elsewhere RENAME TO usage_days`
  await usage.flush()
  expect(await today()).toMatchObject({ messages: 7, active_users: 1 })
})
