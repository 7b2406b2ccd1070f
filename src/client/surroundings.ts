/** What a page knows of itself and its network; elsewhere all is visible and nothing ever changes. */
export type Surroundings = {
  isVisible(): boolean
  /** Calls back until the signal is aborted. */
  watch(handlers: { visible(visible: boolean): void; online(): void }, signal: AbortSignal): void
}

export function surroundings(): Surroundings {
  const page = globalThis.document as Document | undefined
  const isVisible = () => page?.visibilityState !== 'hidden'
  return {
    isVisible,
    watch({ visible, online }, signal) {
      if (typeof addEventListener !== 'function') return
      // The first is the document's: the window sees it on its way down.
      const options = { capture: true, signal }
      for (const name of ['visibilitychange', 'pageshow'])
        addEventListener(name, () => visible(isVisible()), options)
      addEventListener('online', online, options)
      const { connection } = navigator as { connection?: EventTarget }
      connection?.addEventListener?.('change', online, options)
    },
  }
}
