import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { StartError } from '../../start-error.ts'
import { type Account, giveTo } from './account.ts'
import type { Binaries } from './binaries.ts'
import { syncFolder } from './files.ts'
import { clusterOf, type Home } from './home.ts'
import { complaintIn, postgresEnvironment } from './postgres-output.ts'
import { gatewayRole } from './settings.ts'

const unfinishedPrefix = 'new-cluster-'
const settingsFile = 'longwave.conf'

/** Where a cluster reads the settings that every launch writes anew. */
export const settingsFileOf = (cluster: string) => join(cluster, settingsFile)

/** Whether a home has its cluster; one that has is whole. */
export const hasCluster = (home: Home) => existsSync(join(clusterOf(home.path), 'PG_VERSION'))

/**
 * Makes the cluster of a home where it has none. It grows under another name and gets its own only when role,
 * database and password are in it, so a kill at any moment leaves either nothing or a whole cluster.
 *
 * @throws StartError with Postgres' own complaint
 */
export async function makeCluster(home: Home, binaries: Binaries, password: string, signal?: AbortSignal) {
  await removeUnfinished(home.path)
  if (hasCluster(home)) return
  const fresh = join(home.path, unfinishedPrefix + randomBytes(4).toString('hex'))
  await mkdir(fresh, { mode: 0o700 })
  await giveTo(home.account, fresh)
  const options = [
    '--username=postgres',
    '--encoding=UTF8',
    '--locale=C',
    '--data-checksums',
    '--auth=reject',
  ]
  // Postgres' own locale: sorts alike on every machine, and a libc upgrade cannot corrupt an index.
  options.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8')
  await run(home.account, binaries.initdb, [`--pgdata=${fresh}`, ...options], '', signal)
  await appendFile(join(fresh, 'postgresql.conf'), `\ninclude '${settingsFile}' # written at every start\n`)
  await appendFile(join(fresh, settingsFile), '', { mode: 0o644 })
  await runSingleUser(home.account, binaries, fresh, [
    `CREATE ROLE ${gatewayRole} LOGIN CREATEDB PASSWORD '${password}'`,
    `CREATE DATABASE ${gatewayRole} OWNER ${gatewayRole}`,
  ])
  signal?.throwIfAborted()
  await rename(fresh, clusterOf(home.path))
  await syncFolder(home.path)
}

/** Gives the gateway's role a new password; no postmaster may run on the cluster. */
export async function changePassword(home: Home, binaries: Binaries, password: string): Promise<void> {
  const command = `ALTER ROLE ${gatewayRole} PASSWORD '${password}'`
  await runSingleUser(home.account, binaries, clusterOf(home.path), [command])
}

async function removeUnfinished(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!name.startsWith(unfinishedPrefix)) continue
    // The initdb of a killed gateway may still be writing in there; what is left now goes at the next start.
    await rm(join(home, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
  }
}

async function runSingleUser(account: Account, { postgres }: Binaries, cluster: string, commands: string[]) {
  const input = commands.map((command) => `${command};\n`).join('')
  // The bootstrap database: a command must not create a database from one that it is connected to.
  await run(account, postgres, ['--single', '-D', cluster, '-c', 'io_method=sync', 'postgres'], input)
}

function run(
  account: Account,
  program: string,
  args: string[],
  input: string,
  signal?: AbortSignal,
): Promise<void> {
  const child = spawn(program, args, {
    ...account,
    ...(signal && { signal }),
    cwd: '/',
    env: postgresEnvironment(),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stdin.on('error', () => {}) // it has ended early, and its exit tells why
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.on('error', (error) =>
      reject(signal?.aborted ? error : new StartError(`cannot run ${program}: ${error.message}`)),
    )
    child.on('close', (code) => {
      const complaint = complaintIn(said) // in single-user mode a failed statement still ends with 0
      if (code === 0 && !complaint) resolve()
      else
        reject(
          new StartError(`Postgres cannot create its files: ${complaint ?? `${program} ended with ${code}`}`),
        )
    })
  })
}
