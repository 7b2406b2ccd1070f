import { createECDH, ECDH } from 'node:crypto'

const CURVE = 'prime256v1'

/** The public key of a P-256 private key, 65 bytes uncompressed as base64url; nothing where it is no such key. */
export function publicKeyOf(privateKey: string): string | undefined {
  const bytes = Buffer.from(privateKey, 'base64url')
  if (bytes.length !== 32 || bytes.toString('base64url') !== privateKey) return undefined
  const pair = createECDH(CURVE)
  try {
    pair.setPrivateKey(bytes)
  } catch {
    return undefined
  }
  return pair.getPublicKey('base64url')
}

/** Whether a public key, as base64url, is a point of P-256: with another one encrypting would fail. */
export function isPoint(publicKey: string): boolean {
  try {
    ECDH.convertKey(publicKey, CURVE, 'base64url')
    return true
  } catch {
    return false
  }
}
