import { setTimeout as pause } from 'node:timers/promises'
import postgres from 'postgres'
import { findPostmaster, type Postmaster, stopPostmaster } from './postmaster.ts'
import { isRunning } from './process-identity.ts'
import { gatewayRole } from './settings.ts'

const pollMs = 50
const answerWithinMs = 5000
const tooManyConnections = '53300' // SQLSTATE

/** The server that already runs on the cluster, once it is ready; one that does not answer is stopped first. */
export async function findAnswering(
  cluster: string,
  password: string,
  signal?: AbortSignal,
): Promise<Postmaster | null> {
  for (;;) {
    signal?.throwIfAborted()
    const found = await findPostmaster(cluster)
    if (!found) return null
    if (found.ready) {
      if (await answers(found, password)) return found
      await stopPostmaster(found)
    } else if (isRunning(found.process)) {
      await pause(pollMs) // it recovers, or shuts down: both end
    }
  }
}

async function answers({ port, socketDir }: Postmaster, password: string): Promise<boolean> {
  const sql = postgres({
    path: `${socketDir}/.s.PGSQL.${port}`,
    username: gatewayRole,
    database: gatewayRole,
    password,
    max: 1,
    connect_timeout: answerWithinMs / 1000,
    fetch_types: false,
  })
  try {
    const answer = sql`select 1`.then(() => true)
    return await Promise.race([answer, pause(answerWithinMs, false, { ref: false })])
  } catch (error) {
    return (error as { code?: string }).code === tooManyConnections // busy, but well
  } finally {
    await sql.end({ timeout: 0 })
  }
}
