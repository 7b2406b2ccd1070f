/** Resolves after so many milliseconds, or when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      resolve(undefined)
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
  })
}
