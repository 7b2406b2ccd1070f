import { type FromWorker, OPEN_CONVERSATION } from './worker-messages.ts'

/** Calls back on what the service worker tells this page. */
export function hearWorker(heard: (told: FromWorker) => void, signal?: AbortSignal): void {
  const listener = ({ data }: MessageEvent<FromWorker | null>) => data && heard(data)
  navigator.serviceWorker?.addEventListener('message', listener as (event: Event) => void, {
    ...(signal && { signal }),
  })
}

/** A click on a notification opens its conversation: `#<id>`. */
export function openClicked(told: FromWorker): void {
  if (told.type === OPEN_CONVERSATION && told.conversation_id !== null) location.hash = told.conversation_id
}
