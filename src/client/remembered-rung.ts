import type { Rung } from './ladder/rungs.ts'
import type { ClientStorage } from './storage.ts'

/** A rung is remembered for a day. */
const REMEMBERED_MS = 24 * 3_600_000

/** What last worked for this gateway. Nothing if that was too long ago, or the storage will not say. */
export async function recallRung(storage: ClientStorage, url: string): Promise<Rung | undefined> {
  try {
    const { rung, at } = JSON.parse((await storage.get(`${url} rung`)) ?? '{}') as {
      rung?: Rung
      at?: number
    }
    return Date.now() - (at ?? 0) < REMEMBERED_MS ? rung : undefined
  } catch {
    return undefined
  }
}

export function rememberRung(storage: ClientStorage, url: string, rung: Rung): void {
  storage.set(`${url} rung`, JSON.stringify({ rung, at: Date.now() })).catch(() => {})
}
