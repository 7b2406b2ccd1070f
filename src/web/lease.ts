import { put } from './api.ts'

/** Heartbeats come every 15 s: every second one renews a lease of 40 s. */
const RENEW_MS = 25_000

/**
 * Says every half a minute, whenever the server was heard, that this device is there and whether somebody is looking:
 * driven by the stream, as timers of a page in the background are slowed down. Returns what is to be called.
 */
export function lease(): (cursor: string) => void {
  let renewedAt = Number.NEGATIVE_INFINITY
  let known = ''
  const renew = () => {
    renewedAt = performance.now()
    const active = document.visibilityState === 'visible'
    put('/v1/devices/current/cursor', { cursor: known, active }).catch(() => {})
  }
  document.addEventListener('visibilitychange', () => {
    if (known !== '') renew()
  })
  return (cursor) => {
    known = cursor
    if (cursor !== '' && performance.now() - renewedAt >= RENEW_MS) renew()
  }
}
