/** Resolves after so many milliseconds, or when one of the signals is aborted. */
export function pause(ms: number, ...signals: (AbortSignal | undefined)[]): Promise<undefined> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      resolve(undefined)
    }
    const timer = setTimeout(end, ms)
    for (const signal of signals) signal?.addEventListener('abort', end)
  })
}
