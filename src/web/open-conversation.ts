/** What the service worker tells a page whose notification was clicked. */
export const OPEN_CONVERSATION = 'longwave.open-conversation'

/** `null`: whatever is open there. */
export type OpenConversation = { type: typeof OPEN_CONVERSATION; conversation_id: string | null }
