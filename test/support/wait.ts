import { setTimeout as pause } from 'node:timers/promises'

const pollMs = 20

/** Resolves with the first truthy answer of `probe`; fails after `limitMs` naming what was waited for. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 15_000,
): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const answer = await probe()
    if (answer) return answer as Exclude<NonNullable<T>, false>
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what}`)
    await pause(pollMs)
  }
}
