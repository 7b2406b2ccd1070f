/** What a service worker tells a page whose notification was clicked. */
export const OPEN_CONVERSATION = 'longwave.open-conversation'
/** What it tells all pages when it has shown one. */
export const SHOWN = 'longwave.shown'

/** `null`: whatever is open there. */
export type FromWorker =
  | { type: typeof OPEN_CONVERSATION; conversation_id: string | null }
  | { type: typeof SHOWN }
