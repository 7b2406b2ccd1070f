import { z } from 'zod'
import { words } from './field-schemas.ts'

const key = (pattern: RegExp, error: string) => z.string({ error }).regex(pattern, { error })

/** A browser's `PushSubscription.toJSON()` as it stands (W3C Push API). */
export const pushSubscriptionBody = z.object({
  endpoint: words(1, 2_048).meta({
    description: 'The https address that the push service gave out; a secret.',
  }),
  expirationTime: z.number({ error: 'must be a number or null' }).nullish(),
  keys: z.object(
    {
      // The first byte, 4, is that of an uncompressed point.
      p256dh: key(/^B[A-P][\w-]{85}$/, 'must be a P-256 point: 65 bytes, uncompressed, as base64url'),
      auth: key(/^[\w-]{21}[AQgw]$/, 'must be 16 bytes as base64url'),
    },
    { error: 'must be an object' },
  ),
})
