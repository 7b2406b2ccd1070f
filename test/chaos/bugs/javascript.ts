import type { Announcement } from '../../../src/protocol/event.ts'

/** What a seeded bug does where it is asked. */
export type PlantedBug = { swallows(announcement: Announcement): boolean }

/** Plants the bug of that name into this process, if there is one. */
export async function plantBug(_name: string | undefined): Promise<PlantedBug> {
  return { swallows: () => false }
}
