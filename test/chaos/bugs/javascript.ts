/** What a seeded bug does where it is asked. */
export type PlantedBug = { swallows(recipients: readonly string[]): boolean }

/** Plants the bug of that name into this process, if there is one. */
export async function plantBug(_name: string | undefined): Promise<PlantedBug> {
  return { swallows: () => false }
}
