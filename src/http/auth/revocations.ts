import type { Hub } from '../../live/hub.ts'
import type { DeviceIdentity, Devices } from '../../store/devices.ts'

const POLL_MS = 2_000
/** Longer than any access token lives. */
const KEEP_MS = 30 * 60_000

/**
 * Devices signed out while an access token of theirs may still verify. Read from Postgres every two seconds, so that a
 * sign-out on any node reaches the streams of this one within 5 s.
 */
export class Revocations implements Disposable {
  readonly #devices: Devices
  readonly #hub: Hub
  readonly #onError: (error: unknown) => void
  /** When each was heard of; ms, monotonic. */
  readonly #revoked = new Map<string, number>()
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

  has(device: DeviceIdentity): boolean {
    return this.#revoked.size > 0 && this.#revoked.has(keyOf(device))
  }

  /** Takes effect here at once. */
  revoke(device: DeviceIdentity): void {
    this.#revoked.set(keyOf(device), performance.now())
    for (const reader of [...(this.#hub.peek(device.user_id)?.readers ?? [])])
      reader.onSignedOut(device.device_id)
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
    for (const device of await this.#devices.recentlyRevoked()) if (!this.has(device)) this.revoke(device)
    const horizon = performance.now() - KEEP_MS
    for (const [key, since] of this.#revoked) if (since < horizon) this.#revoked.delete(key)
  }
}

function keyOf({ user_id, device_id }: DeviceIdentity): string {
  return `${user_id}\0${device_id}`
}
