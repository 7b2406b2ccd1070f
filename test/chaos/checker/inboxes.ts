import type { DeviceLog, SeenEvent } from '../history/device-log.ts'
import type { History } from '../history/history.ts'
import { Findings, type Violation } from './violation.ts'

/** P3: every device saw each id once, in order, from the first to the head; two devices of a user saw the same. */
export function checkInboxes({ devices }: Pick<History, 'devices'>): Violation[] {
  const findings = new Findings()
  for (const device of devices) {
    checkIds(device, findings)
    for (const reset of device.resets)
      findings.add('P3', 'a reset without cause', { device: device.name, reset })
  }
  for (const [first, ...others] of byUser(devices).values()) {
    for (const other of others) if (first) compare(first, other, findings)
  }
  return findings.violations
}

/** The logs of each user's devices. */
export function byUser(devices: readonly DeviceLog[]): Map<string, DeviceLog[]> {
  return Map.groupBy(devices, (device) => device.user)
}

function checkIds(device: DeviceLog, findings: Findings): void {
  for (let index = 0, expected = 1; index < device.length; index += 1) {
    const id = device.idAt(index)
    if (id !== expected) {
      const what = id > expected ? 'an event is missing' : 'an event came again'
      const { connection, ...event } = device.at(index)
      findings.add('P3', what, { device: device.name, expected, event, via: device.connections[connection] })
    }
    expected = id + 1
  }
}

function compare(one: DeviceLog, other: DeviceLog, findings: Findings): void {
  const names = [one.name, other.name]
  const [head, otherHead] = [one.head, other.head]
  if (head !== otherHead) findings.add('P3', 'devices end at different events', { names, head, otherHead })
  for (let index = 0; index < Math.min(one.length, other.length); index += 1) {
    const [event, same] = [one.at(index), other.at(index)]
    // Ids out of step are told already.
    if (event.id === same.id && !isSame(event, same)) {
      findings.add('P3', 'devices saw different events at one id', { names, event, same })
    }
  }
}

/** What was read later may be hidden by then. */
function isSame(one: SeenEvent, other: SeenEvent): boolean {
  if (one.conversation !== other.conversation) return false
  if (one.type === 'redacted' || other.type === 'redacted') return true
  return (
    one.type === other.type && one.seq === other.seq && one.text === other.text && one.user === other.user
  )
}
