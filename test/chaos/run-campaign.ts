import { setTimeout as pause } from 'node:timers/promises'
import { CampaignTime } from './campaign-time.ts'
import { Campaign } from './clients/campaign.ts'
import { type Activity, Crowd } from './clients/crowd.ts'
import { HttpClient } from './clients/http-client.ts'
import { type Census, settle } from './clients/people.ts'
import type { History } from './history/history.ts'
import { Recorder } from './history/recorder.ts'
import { type Kinds, Nemesis, type Pace } from './nemesis/nemesis.ts'
import { Random } from './random.ts'
import type { World } from './world/world.ts'

export type CampaignPlan = {
  seed: number
  seconds: number
  census: Census
  activity: Activity
  pace?: Pace
  /** Kinds of faults; without it all that the world has room for. */
  faults?: Kinds
  /** Told now and then how far it is. */
  progress?: (line: string) => void
  /** Ends it early: then it rejects, once all is healed. */
  signal?: AbortSignal
}

/** Lets a crowd live in a world that the nemesis breaks, then heals it, and returns all that was done and seen. */
export async function runCampaign(world: World, plan: CampaignPlan): Promise<History> {
  const recorder = new Recorder()
  const random = new Random(plan.seed)
  const deadlocksBefore = world.postgres.deadlocks
  using time = new CampaignTime(plan.signal)
  using http = new HttpClient()
  const parts = { recorder, http, random: random.fork('clients'), addresses: world.nodes }
  const campaign = new Campaign(parts, time.running.signal, time.patience.signal)
  const crowd = new Crowd(campaign, await settle(campaign, plan.census))
  const nemesis = new Nemesis(world, recorder.faults, time.running, plan.pace)
  using _telling = tellNowAndThen(recorder, plan)
  time.begin(plan.seconds)
  const striking = nemesis.run(random.fork('nemesis'), plan.faults).finally(() => time.healed())
  const living = crowd.run(plan.activity)
  // Whoever fails: what the nemesis broke has to be whole before its world may go.
  await Promise.allSettled([living, striking])
  await living
  await striking
  plan.signal?.throwIfAborted()
  time.answered()
  // Nodes that came back last may still be finding their way to Postgres.
  await pause(500)
  await crowd.conclude()
  recorder.deadlocks = world.postgres.deadlocks - deadlocksBefore
  return recorder
}

function tellNowAndThen(recorder: Recorder, { seconds, progress }: CampaignPlan): Disposable {
  const until = performance.now() + seconds * 1_000
  let told = 0
  const timer = setInterval(() => {
    progress?.(tell(recorder, until))
    for (const anomaly of recorder.anomalies.slice(told)) progress?.(`  ${JSON.stringify(anomaly)}`)
    told = recorder.anomalies.length
  }, 10_000)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

function tell({ sends, devices, faults, anomalies }: Recorder, until: number): string {
  const kills = faults.reduce((sum, fault) => sum + fault.kills, 0)
  const deliveries = devices.reduce((sum, device) => sum + device.length, 0)
  const left = Math.max(0, Math.round((until - performance.now()) / 1_000))
  return `${left} s left: ${sends.length} sends, ${deliveries} deliveries, ${kills} kills, ${anomalies.length} anomalies`
}
