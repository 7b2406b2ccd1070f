import type { Fault } from './fault.ts'
import { KILLS } from './kills.ts'
import { NATS_FAULTS } from './nats-faults.ts'
import { NETWORK_FAULTS } from './network-faults.ts'
import { NODE_FAULTS } from './node-faults.ts'
import { POSTGRES_FAULTS } from './postgres-faults.ts'

/** What a campaign does to its world, by name. */
export const FAULTS: Record<string, Fault> = {
  ...KILLS,
  ...NODE_FAULTS,
  ...NATS_FAULTS,
  ...POSTGRES_FAULTS,
  ...NETWORK_FAULTS,
}

/** Those that happen at their own pace beside the others. */
export const KILL_KINDS = Object.keys(KILLS)
/** The rest, one after the other. */
export const OTHER_KINDS = Object.keys(FAULTS).filter((kind) => !(kind in KILLS))
