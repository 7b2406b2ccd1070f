import { USUAL_PACE } from './nemesis/nemesis.ts'
import type { CampaignPlan } from './run-campaign.ts'
import type { WorldOptions } from './world/world.ts'

const HOUR_MS = 3_600_000

type Size = { world: WorldOptions; campaign: Omit<CampaignPlan, 'seed' | 'seconds'> }

/** The whole deployment, and as much life in it as two cores bear beside it. */
export const LARGE: Size = {
  world: { nodes: 3, nats: true, replication: 'synchronous', clockShiftsMs: [0, HOUR_MS, -HOUR_MS] },
  campaign: {
    census: { people: 48, devicesEach: 2, groups: 24, groupSize: [6, 10], directs: 8 },
    activity: { sendsPerSecond: 260, churnEveryMs: 400, marksEveryMs: 300, signOutsEveryMs: 3_000 },
  },
}

/** The same deployment with less life in it, for a machine that runs other tests beside it. */
export const SMALL: Size = {
  world: LARGE.world,
  campaign: {
    census: { people: 16, devicesEach: 2, groups: 8, groupSize: [5, 7], directs: 4 },
    activity: { sendsPerSecond: 80, churnEveryMs: 300, marksEveryMs: 300, signOutsEveryMs: 3_000 },
    pace: { ...USUAL_PACE, restEveryMs: 22_000, restMs: 9_000 },
  },
}
