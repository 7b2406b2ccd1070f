import type { Hub } from '../../live/hub.ts'
import type { DeviceIdentity, Devices, RevokedDevice } from '../../store/devices.ts'

const POLL_MS = 2_000
/** Longer than any access token lives, and than an identity provider's is taken without asking Postgres. */
const KEEP_MS = 30 * 60_000

/**
 * Devices signed out while an access token of theirs may still verify. Read from Postgres every two seconds, so that a
 * sign-out on any node reaches the streams of this one within 5 s.
 */
export class Revocations implements Disposable {
  readonly #devices: Devices
  readonly #hub: Hub
  readonly #onError: (error: unknown) => void
  /** When each was signed out (ms since 1970), and when that was heard of (ms, monotonic). */
  readonly #revoked = new Map<string, { at: number; heard: number }>()
  #timer: NodeJS.Timeout | undefined
  #disposed = false

  constructor(devices: Devices, hub: Hub, onError: (error: unknown) => void) {
    this.#devices = devices
    this.#hub = hub
    this.#onError = onError
  }

  /** Reads what was revoked before this node began. Rejects when Postgres cannot be read. */
  async start(): Promise<void> {
    await this.#read()
    this.#schedule()
  }

  /** An identity provider's token (one with `issued_at`, ms since 1970) is good again if issued since. */
  has(device: DeviceIdentity & { issued_at?: number | undefined }): boolean {
    if (this.#revoked.size === 0) return false
    const revoked = this.#revoked.get(keyOf(device))
    return revoked !== undefined && (device.issued_at === undefined || device.issued_at <= revoked.at)
  }

  /** Takes effect here at once. */
  revoke(device: RevokedDevice): void {
    const at = device.revoked_at.getTime()
    this.#revoked.set(keyOf(device), { at, heard: performance.now() })
    for (const reader of [...(this.#hub.peek(device.user_id)?.readers ?? [])])
      reader.onSignedOut(device.device_id, at)
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#disposed) return
    const tick = () =>
      void this.#read()
        .catch(this.#onError)
        .finally(() => this.#schedule())
    this.#timer = setTimeout(tick, POLL_MS * (0.75 + Math.random() / 2)).unref()
  }

  async #read(): Promise<void> {
    for (const device of await this.#devices.recentlyRevoked()) {
      const known = this.#revoked.get(keyOf(device))
      if (!known || known.at < device.revoked_at.getTime()) this.revoke(device)
    }
    const horizon = performance.now() - KEEP_MS
    for (const [key, { heard }] of this.#revoked) if (heard < horizon) this.#revoked.delete(key)
  }
}

function keyOf({ user_id, device_id }: DeviceIdentity): string {
  return `${user_id}\0${device_id}`
}
