/**
 * A fresh Idempotency-Key of 128 random bits. `crypto.randomUUID` is missing on plain-http addresses other than localhost,
 * all of `crypto` in React Native.
 */
export function newKey(): string {
  const words = new Uint32Array(4).map(() => Math.random() * 2 ** 32)
  if (typeof crypto !== 'undefined') crypto.getRandomValues(words)
  return Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('')
}
