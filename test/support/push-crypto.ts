import { createDecipheriv, createECDH, createPublicKey, type ECDH, hkdfSync, verify } from 'node:crypto'

/** What a browser and its push service do, written from the RFCs with node:crypto alone: a second opinion. */

/** A browser's half of a subscription. */
export type Receiver = { pair: ECDH; auth: Buffer }

export function newReceiver(auth: Buffer): Receiver {
  const pair = createECDH('prime256v1')
  pair.generateKeys()
  return { pair, auth }
}

/** RFC 8291, 3.4, over RFC 8188: what `aes128gcm` was made of. Throws where anything is not as it must be. */
export function decrypt(body: Buffer, { pair, auth }: Receiver): Buffer {
  const salt = body.subarray(0, 16)
  const recordSize = body.readUInt32BE(16)
  const keyLength = body.readUInt8(20)
  const sender = body.subarray(21, 21 + keyLength)
  const sealed = body.subarray(21 + keyLength)
  if (keyLength !== 65) throw new Error(`the key of the sender has ${keyLength} bytes`)
  if (sealed.length > recordSize) throw new Error('a push has one record')
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), pair.getPublicKey(), sender])
  const ikm = derive(pair.computeSecret(sender), auth, info, 32)
  const key = derive(ikm, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16)
  const nonce = derive(ikm, salt, Buffer.from('Content-Encoding: nonce\0'), 12)
  const cipher = createDecipheriv('aes-128-gcm', key, nonce)
  cipher.setAuthTag(sealed.subarray(-16))
  const padded = Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()])
  const end = padded.findLastIndex((byte) => byte !== 0)
  if (padded[end] !== 2) throw new Error('the last record has to end with 2 and padding')
  return padded.subarray(0, end)
}

function derive(key: Buffer, salt: Buffer, info: Buffer, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, length))
}

/** RFC 8292: why a push service at `origin` refuses a push for a subscription with `publicKey`; nothing if it takes it. */
export function vapidFlaw(header: string | undefined, origin: string, publicKey: string): string | undefined {
  const [, token = '', key = ''] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(header ?? '') ?? []
  if (token === '') return 'no Authorization of the scheme vapid'
  if (key !== publicKey) return 'signed with another key than the subscription is for'
  const [head = '', claims = '', signature = ''] = token.split('.')
  const { alg } = JSON.parse(Buffer.from(head, 'base64url').toString())
  if (alg !== 'ES256') return 'not ES256'
  const signed = Buffer.from(`${head}.${claims}`)
  if (!verify('sha256', signed, toKey(key), Buffer.from(signature, 'base64url'))) return 'a wrong signature'
  const { aud, exp, sub } = JSON.parse(Buffer.from(claims, 'base64url').toString())
  if (aud !== origin) return `aud is ${aud}`
  const left = exp - Date.now() / 1_000
  if (!(left > 0 && left <= 86_400)) return 'exp is not within 24 h'
  if (!/^(mailto:.+@|https:\/\/)/.test(sub)) return `sub is ${sub}`
  return undefined
}

function toKey(publicKey: string) {
  const point = Buffer.from(publicKey, 'base64url')
  const x = point.subarray(1, 33).toString('base64url')
  const y = point.subarray(33).toString('base64url')
  const key = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y } })
  return { key, dsaEncoding: 'ieee-p1363' as const }
}
