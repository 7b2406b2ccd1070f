import type { DeviceState } from '../store/pushes.ts'

/** 'waiting': some device is there, so it may still acknowledge; for so many ms, unless it says something else before. */
export type Absence = { type: 'away' } | { type: 'received' } | { type: 'waiting'; ms: number }

/** Whether somebody is away from an event of their inbox, as their devices stand. `epoch`: the inbox's. */
export function judge(
  { inbox_id, epoch }: { inbox_id: number; epoch: string },
  devices: readonly DeviceState[],
): Absence {
  const hasReceived = devices.some(
    ({ attended_epoch, attended_id }) => attended_epoch === epoch && (attended_id ?? 0) >= inbox_id,
  )
  if (hasReceived) return { type: 'received' }
  const ms = Math.max(...devices.map(msThere), 0)
  return ms > 0 ? { type: 'waiting', ms } : { type: 'away' }
}

/** A device that sends leases is there by them, and only while somebody looks; any other by its open stream or poll. */
function msThere({ lease_ms, active, there_ms }: DeviceState): number {
  if (lease_ms === null) return there_ms ?? 0
  return active === false ? 0 : lease_ms
}
