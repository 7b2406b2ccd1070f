/** What a page knows of itself and its network; elsewhere all is visible and nothing ever changes. */
export type Surroundings = {
  readonly isVisible: boolean
  /** Calls back until the signal is aborted. */
  watch(handlers: { visible(visible: boolean): void; online(): void }, signal: AbortSignal): void
}

export function surroundings(): Surroundings {
  const page = typeof document === 'undefined' ? undefined : document
  const isVisible = () => page?.visibilityState !== 'hidden'
  return {
    get isVisible() {
      return isVisible()
    },
    watch({ visible, online }, signal) {
      if (typeof addEventListener !== 'function') return
      page?.addEventListener('visibilitychange', () => visible(isVisible()), { signal })
      addEventListener('pageshow', () => visible(isVisible()), { signal })
      addEventListener('online', online, { signal })
      const { connection } = navigator as { connection?: EventTarget }
      connection?.addEventListener?.('change', online, { signal })
    },
  }
}
