import * as schemas from '../../protocol/schemas.ts'
import { readTotals, readUsageDays } from '../../store/usage.ts'
import { endpoint } from '../endpoint.ts'
import type { Services } from '../services.ts'

export const getUsage = (services: Services) =>
  endpoint({
    summary: 'Totals, and messages and active users per day',
    tag: 'Admin',
    signedIn: false,
    admin: true,
    query: schemas.usageQuery,
    answers: {
      200: { description: 'Counted as it happens; large totals are estimates.', schema: schemas.usage },
    },
    async handle({ query }) {
      const { sql } = services.database
      const [totals, days] = await Promise.all([readTotals(sql), readUsageDays(sql, query.days)])
      return { status: 200, body: { totals, days } }
    },
  })
