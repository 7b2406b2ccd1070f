import type { Sql } from './database.ts'

type Query = { resolve(result: unknown): void }

/**
 * The driver goes on counting rows where a connection broke in the middle of a result: the next result on it begins with
 * as many holes, so that its first row seems to be missing. Here the holes are closed.
 */
export function withWholeResults(sql: Sql): Sql {
  const guard = <A extends unknown[], R>(send: (...given: A) => R) => {
    return (...given: A): R => {
      const query = send(...given)
      if (isQuery(query)) {
        const { resolve } = query
        query.resolve = (result) => resolve(closeHoles(result))
      }
      return query
    }
  }
  return Object.assign(guard(sql as never), sql, { unsafe: guard(sql.unsafe) }) as unknown as Sql
}

function isQuery(value: unknown): value is Query {
  return typeof value === 'object' && value !== null && 'resolve' in value
}

/** In place, as the result carries more than its rows. */
function closeHoles(result: unknown): unknown {
  if (!Array.isArray(result) || result.length === 0 || 0 in result) return result
  result.splice(
    0,
    result.findIndex((_, index) => index in result),
  )
  return result
}
