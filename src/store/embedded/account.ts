import { execFile, spawnSync } from 'node:child_process'
import { chown, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { StartError } from '../../start-error.ts'

const execute = promisify(execFile)
const systemUser = 'postgres'

/** The system account that Postgres runs as; empty for our own. Spreads into the options of `spawn`. */
export type Account = { uid?: number; gid?: number }

/**
 * The account for the cluster in `clusterDir`: our own, or when we are root (as which Postgres refuses to run) the
 * owner of what is there already, else the user `postgres`, made if missing.
 */
export async function chooseAccount(clusterDir: string | null): Promise<Account> {
  if (process.getuid?.() !== 0) return {}
  const owner = clusterDir ? await stat(clusterDir) : null
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  return (await lookUp()) ?? (await create())
}

async function lookUp(): Promise<Account | null> {
  try {
    const [uid, gid] = await Promise.all([
      execute('id', ['-u', systemUser]),
      execute('id', ['-g', systemUser]),
    ])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}

async function create(): Promise<Account> {
  const ways: [string, string[]][] = [
    ['useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/bin/sh', systemUser]],
    ['adduser', ['-S', '-D', '-H', systemUser]],
  ]
  for (const [command, args] of ways) {
    await execute(command, args).catch(() => null)
    const account = await lookUp()
    if (account) return account
  }
  throw new StartError(
    `Postgres does not run as root and the system user ${systemUser} cannot be made: start as an ordinary user, or set DATABASE_URL`,
  )
}

/** Whether the account can enter the folder and read there; asked of the system, which also knows about ACLs. */
export function canEnter(account: Account, folder: string): boolean {
  if (account.uid === undefined) return true
  const shell = spawnSync('/bin/sh', ['-c', 'cd -- "$1" && test -r .', 'sh', folder], {
    ...account,
    cwd: '/',
    stdio: 'ignore',
  })
  return shell.status === 0
}

/** Hands a file or folder to the account; nothing to do when it is our own. */
export async function giveTo(account: Account, path: string): Promise<void> {
  if (account.uid !== undefined && account.gid !== undefined) await chown(path, account.uid, account.gid)
}
