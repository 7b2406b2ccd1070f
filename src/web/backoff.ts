import { ApiError } from './api.ts'

const FIRST_MS = 500
const LONGEST_MS = 15_000

/** How long to wait after so many failures in a row, jittered so that clients do not come back all at once. */
export function backoff(failures: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** failures) * (0.5 + Math.random())
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Repeats a request that changes nothing until it is answered. Throws ApiError if repeating would not help. */
export async function insist<T>(
  request: () => Promise<T>,
  onTrouble?: (error: ApiError) => void,
): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isTransient) throw error
      onTrouble?.(error)
      await pause(error.retryAfter ?? backoff(failures))
    }
  }
}
