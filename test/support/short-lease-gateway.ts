import { start } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'

/** A gateway with leases of `LEASE_MS`, so that a test need not wait a minute for those who have gone. */
await start(loadConfig(process.env), { leaseMs: Number(process.env.LEASE_MS) })
