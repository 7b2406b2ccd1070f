import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { StartError } from '../../start-error.ts'
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts'

const folderName = 'gateway.lock'
const claimName = /^[0-9a-f-]{36}$/
const pollMs = 10

type Claim = { rank: string; owner: ProcessIdentity }

/** The right to be the one gateway on a data folder, until released or the process ends. */
export type OwnerLock = { release(): Promise<void> }

/**
 * Takes the lock of `dataDir`. Of starters at the same moment exactly one wins; claims of dead processes, or of
 * pids that now belong to somebody else, do not count.
 *
 * @throws StartError naming the folder and the pid of the gateway that has it
 */
export async function takeOwnerLock(dataDir: string): Promise<OwnerLock> {
  const folder = join(dataDir, folderName)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const rank = randomUUID()
  const claim = join(folder, rank)
  const release = async () => {
    await rm(claim, { force: true })
    await rm(heldMark(claim), { force: true })
  }
  // A name of its own per claim makes removing a dead one safe: nobody can have taken it over in between.
  await writeFile(`${claim}.new`, JSON.stringify(identify(process.pid)), { mode: 0o600 })
  await rename(`${claim}.new`, claim)
  try {
    await outrankOthers(folder, rank, dataDir)
    await writeFile(heldMark(claim), '', { mode: 0o600 })
  } catch (error) {
    await release()
    throw error
  }
  return { release }
}

/**
 * Every claim is written before the others are listed, so of two starters at least one sees the other. Who sees a
 * held claim, or a wish of lower rank, gives up; who sees a wish of higher rank waits until it is held or gone.
 */
async function outrankOthers(folder: string, rank: string, dataDir: string): Promise<void> {
  for (;;) {
    const others = (await liveClaims(folder)).filter((claim) => claim.rank !== rank)
    if (others.length === 0) return
    const winner = others.find((claim) => isHeld(folder, claim) || claim.rank < rank)
    if (winner) {
      throw new StartError(
        `another gateway (pid ${winner.owner.pid}) already runs on DATA_DIR ${dataDir}: stop it, or give this one another DATA_DIR`,
      )
    }
    await pause(pollMs)
  }
}

async function liveClaims(folder: string): Promise<Claim[]> {
  const claims: Claim[] = []
  for (const rank of (await readdir(folder)).filter((name) => claimName.test(name))) {
    const file = join(folder, rank)
    const owner = await readOwner(file)
    if (owner && isRunning(owner)) claims.push({ rank, owner })
    else await Promise.all([rm(file, { force: true }), rm(heldMark(file), { force: true })])
  }
  return claims
}

/** `null` for a claim just released, or torn by a power cut: either way its owner holds nothing. */
async function readOwner(file: string): Promise<ProcessIdentity | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as ProcessIdentity
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

const heldMark = (claim: string) => `${claim}.held`
const isHeld = (folder: string, { rank }: Claim) => existsSync(heldMark(join(folder, rank)))
