import type { Config } from '../config.ts'
import type { Told } from '../live/worker-bus.ts'
import type { DatabaseOptions } from '../store/database.ts'

/** What a worker is to serve: `config` with the port that all share, and the database that the primary looks after. */
export type Order = { config: Config; database: DatabaseOptions }

/** From the primary to a worker; `end` drains it, `hasty` without the wait for balancers. */
export type ToWorker = ({ kind: 'serve' } & Order) | { kind: 'end'; hasty: boolean } | Told

/** From a worker to the primary: it listens, it cannot start, or something for the other workers. */
export type FromWorker = { kind: 'up'; url: string } | { kind: 'failed'; reason: string } | Told
