import type { CampaignPlan } from './run-campaign.ts'
import type { WorldOptions } from './world/world.ts'

const HOUR_MS = 3_600_000

type Size = { world: WorldOptions; campaign: Omit<CampaignPlan, 'seed' | 'seconds'> }

/** The whole deployment, and as much life in it as two cores bear beside it. */
export const LARGE: Size = {
  world: { nodes: 3, nats: true, replication: 'synchronous', clockShiftsMs: [0, HOUR_MS, -HOUR_MS] },
  campaign: {
    census: { people: 48, devicesEach: 2, groups: 24, groupSize: [6, 10], directs: 12 },
    activity: { sendsPerSecond: 250, churnEveryMs: 400, marksEveryMs: 300, signOutsEveryMs: 3_000 },
  },
}
