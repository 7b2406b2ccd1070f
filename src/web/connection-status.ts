import type { Status } from '../client/client.ts'
import { find, setText } from './dom.ts'

const STATES = { connecting: 'connecting…', live: 'live', offline: 'offline' }

const TRANSPORTS = {
  sse: 'an event stream',
  'sse-disguised': 'an event stream in disguise',
  'sse-slices': 'event streams in slices',
  'long-poll': 'long polls',
  poll: 'polls',
}

/** What comes this late is worth a word, once it has been for two looks: what was waiting when the line came back is none. */
const LATE_MS = 2_000
const LOOK_MS = 8_000

/** How the page is connected, in words, and for scripts in `data-state`, `data-transport`, `data-lag-ms`. */
export function connectionStatus(status: () => Status | undefined): () => void {
  const element = find('status', HTMLElement)
  let late = 0
  const show = () => {
    const now = status()
    if (!now) return
    const { state, transport, lagMs, reason } = now
    Object.assign(element.dataset, { state, transport, lagMs })
    const isLate = state === 'live' && late > 1
    setText(element, isLate ? `live, ${Math.round(lagMs / 1_000)} s late` : STATES[state])
    element.title = state === 'offline' ? reason : `By ${TRANSPORTS[transport]}`
  }
  setInterval(() => {
    late = (status()?.lagMs ?? 0) >= LATE_MS ? late + 1 : 0
    show()
  }, LOOK_MS)
  return show
}
