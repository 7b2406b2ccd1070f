import webPush from 'web-push'
import { publicKeyOf } from './p256.ts'

/** RFC 8292: at most 24 h. */
const VALID_MS = 12 * 3_600_000
/** Half of that, so that a clock of a push service may be hours off. */
const REUSED_MS = VALID_MS / 2
/** Whoever registers invented endpoints must not fill the memory. */
const MAX_ORIGINS = 1_000

/** What this deployment signs its pushes with (RFC 8292): base64url, and whom a push service writes to. */
export type VapidKeys = { publicKey: string; privateKey: string; subject: string }

/** Push services want somebody to write to; Apple's refuses what cannot be an address. */
const NOBODY = 'mailto:nobody@longwave.invalid'

type Settings = {
  vapidPrivateKey: string | undefined
  vapidSubject: string | undefined
  publicUrl: string | undefined
}

/** The keys that are set, else those that `keep` keeps for all nodes and lets the first of them make. */
export async function loadVapidKeys(
  { vapidPrivateKey, vapidSubject, publicUrl }: Settings,
  keep: (name: string, make: () => string) => Promise<string>,
): Promise<VapidKeys> {
  const makeKey = () => webPush.generateVAPIDKeys().privateKey
  const privateKey = vapidPrivateKey ?? (await keep('vapid private key', makeKey))
  const publicKey = publicKeyOf(privateKey)
  if (publicKey === undefined) throw new Error('the VAPID key in the database is not one of P-256')
  const subject = vapidSubject ?? (publicUrl?.startsWith('https:') ? publicUrl : NOBODY)
  return { publicKey, privateKey, subject }
}

/** Signs for push services, once per origin and half a day: a signature costs as much as encrypting a push. */
export class VapidSigner {
  readonly #keys: VapidKeys
  readonly #signed = new Map<string, { header: string; until: number }>()

  constructor(keys: VapidKeys) {
    this.#keys = keys
  }

  /** The header `Authorization` for a push service at `origin`. */
  authorization(origin: string): string {
    const known = this.#signed.get(origin)
    if (known && known.until > Date.now()) return known.header
    if (this.#signed.size >= MAX_ORIGINS) this.#signed.clear()
    const { subject, publicKey, privateKey } = this.#keys
    const expires = Math.floor((Date.now() + VALID_MS) / 1_000)
    const signed = webPush.getVapidHeaders(origin, subject, publicKey, privateKey, 'aes128gcm', expires)
    this.#signed.set(origin, { header: signed.Authorization, until: Date.now() + REUSED_MS })
    return signed.Authorization
  }
}
