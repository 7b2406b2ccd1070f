import { Problem, unavailable } from '../protocol/problems.ts'
import { isTransient } from '../store/database.ts'

/** Any error as one of the catalogue: what Postgres or a bug says never reaches a caller. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (isTransient(error)) {
    return unavailable(
      'The database cannot be reached just now. Repeat the request, with the same key if it has one.',
      error,
    )
  }
  return new Problem(
    'internal',
    'This is a fault of the server. Repeat the request; report its X-Request-Id if it stays.',
    {
      cause: error,
    },
  )
}

export const PROBLEM_TYPE = 'application/problem+json'

/** Headers of an error's answer. RFC 9457; RFC 9110 for Retry-After and WWW-Authenticate. */
export function problemHeaders(problem: Problem): Record<string, string> {
  return {
    'Content-Type': PROBLEM_TYPE,
    ...(problem.status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    ...(problem.retryAfter !== undefined && { 'Retry-After': String(problem.retryAfter) }),
  }
}
