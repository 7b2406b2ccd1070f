import { Patience } from '../client/client.ts'
import { ApiError } from './api.ts'

/** Of all requests that are repeated here: `hurry` when the network is back. */
export const patience = new Patience()

/** Repeats a request that changes nothing until it is answered. Throws ApiError if repeating would not help. */
export async function insist<T>(
  request: () => Promise<T>,
  onTrouble?: (error: ApiError) => void,
): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isTransient) throw error
      onTrouble?.(error)
      await patience.pause(tries, error.retryAfterMs)
    }
  }
}
