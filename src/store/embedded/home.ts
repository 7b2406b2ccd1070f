import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, realpath, rename, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { StartError } from '../../start-error.ts'
import { type Account, canEnter, chooseAccount, giveTo } from './account.ts'
import { readIfPresent, writeWhole } from './files.ts'
import { findPostmaster, stopPostmaster } from './postmaster.ts'

const basesElsewhere = ['/var/lib/longwave', '/opt/longwave', '/srv/longwave']

/** Where the cluster lives: a folder that belongs to the account Postgres runs as. */
export type Home = { path: string; account: Account }

type Link = { id: string; path: string } // in DATA_DIR it points to the home, in the home back to DATA_DIR

const pointerOf = (dataDir: string) => join(dataDir, 'postgres.json')
const backPointerOf = (home: string) => join(home, 'data-dir.json')

/** The folder of the cluster in a home; there once the cluster is complete. */
export const clusterOf = (home: string) => join(home, 'cluster')

/**
 * Finds or makes the home of `dataDir`: `postgres/` in it, or where Postgres' account cannot get there, a folder of
 * its own that `postgres.json` points to.
 *
 * @throws StartError when it points to a home that is missing or is somebody else's
 */
export async function settleHome(dataDir: string): Promise<Home> {
  const pointer = await readLink(pointerOf(dataDir))
  if (pointer) return followPointer(dataDir, pointer)

  const inside = join(dataDir, 'postgres')
  const existing = existsSync(clusterOf(inside)) ? clusterOf(inside) : null
  const account = await chooseAccount(existing)
  await mkdir(inside, { recursive: true, mode: 0o700 })
  if (!existing) await giveTo(account, inside)
  if (canEnter(account, inside)) return { path: inside, account }
  return moveElsewhere(dataDir, inside, account, existing !== null)
}

async function followPointer(dataDir: string, pointer: Link): Promise<Home> {
  const { id, path } = pointer
  const back = await readLink(backPointerOf(path))
  if (back?.id !== id) {
    throw new StartError(
      `the database of DATA_DIR ${dataDir} should be in ${path}, but is not: bring it back, or delete ${pointerOf(dataDir)} to begin with an empty one`,
    )
  }
  if (back.path !== dataDir) {
    await refuseCopy(dataDir, back)
    await writeWhole(backPointerOf(path), JSON.stringify({ id, path: dataDir }))
  }
  const cluster = clusterOf(path)
  return { path, account: await chooseAccount(existsSync(cluster) ? cluster : null) }
}

/** A moved DATA_DIR keeps its database; of a copied one only the original does. */
async function refuseCopy(dataDir: string, original: Link): Promise<void> {
  const there = await readLink(pointerOf(original.path))
  if (there?.id !== original.id || (await realpath(original.path)) === (await realpath(dataDir))) return
  throw new StartError(
    `DATA_DIR ${dataDir} is a copy of ${original.path}, which owns the database: use that one, or delete ${pointerOf(dataDir)} to begin with an empty database`,
  )
}

async function moveElsewhere(
  dataDir: string,
  inside: string,
  account: Account,
  filled: boolean,
): Promise<Home> {
  const id = randomBytes(8).toString('hex')
  const path = await makeElsewhere(id)
  if (!path) {
    throw new StartError(
      `Postgres' system user cannot reach DATA_DIR ${dataDir}: allow it to enter the folders above (chmod o+x), or set another DATA_DIR`,
    )
  }
  if (filled) {
    await bringOver(inside, path)
  } else {
    await rmdir(inside)
  }
  await giveTo(account, path)
  await writeWhole(backPointerOf(path), JSON.stringify({ id, path: dataDir } satisfies Link))
  await writeWhole(pointerOf(dataDir), JSON.stringify({ id, path } satisfies Link))
  return { path, account }
}

async function makeElsewhere(id: string): Promise<string | null> {
  for (const base of basesElsewhere) {
    const path = join(base, id)
    try {
      await mkdir(base, { recursive: true, mode: 0o755 })
      await mkdir(path, { mode: 0o700 })
      return path
    } catch {} // read-only here: the next may do
  }
  return null
}

async function bringOver(inside: string, path: string): Promise<void> {
  const live = await findPostmaster(clusterOf(inside))
  if (live) await stopPostmaster(live)
  try {
    await rename(inside, path)
  } catch {
    await rmdir(path)
    throw new StartError(
      `Postgres' system user can no longer reach ${inside}: allow it to enter the folders above (chmod o+x)`,
    )
  }
}

async function readLink(file: string): Promise<Link | null> {
  const text = await readIfPresent(file)
  return text === null ? null : (JSON.parse(text) as Link)
}
