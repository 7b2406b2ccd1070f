import { unavailable } from '../protocol/problems.ts'

/**
 * What `work` gives, or Problem unavailable after `ms`: a database that hangs must not hold the caller. What comes too
 * late goes to `discard`.
 */
export function within<T>(ms: number, work: Promise<T>, discard: (late: T) => void = () => {}): Promise<T> {
  return new Promise((resolve, reject) => {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      reject(
        unavailable(
          'The database does not answer just now. Repeat the request, with the same key if it has one.',
        ),
      )
    }, ms)
    work.then(
      (value) => {
        clearTimeout(timer)
        if (isLate) discard(value)
        else resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error instanceof Error ? error : new Error('failed', { cause: error }))
      },
    )
  })
}
