import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What the tests run besides Node, by the names of its program and the Debian package that brings it. */
const testTools = [
  { programs: ['chromium', 'chromium-browser', 'google-chrome'], debianPackage: 'chromium' },
  { programs: ['nats-server'], debianPackage: 'nats-server' },
]

/** Installs the missing ones through apt-get; says in one line where it cannot, and leaves it to the tests to fail. */
export function installTestTools() {
  const packages = testTools
    .filter(({ programs }) => !programs.some(isOnPath))
    .map((tool) => tool.debianPackage)
  if (packages.length === 0) return
  const list = packages.join(' ')
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const mayInstall = asRoot.length === 0 || spawnSync('sudo', ['-n', 'true']).status === 0
  if (!isOnPath('apt-get') || !mayInstall) {
    console.error(
      `The tests need ${list}: install with "apt-get install ${list}" (here there is no apt-get or no right to it)`,
    )
    return
  }
  console.log(`Installing ${list} …`)
  const aptGet = [...asRoot, 'apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120']
  run([...aptGet, 'update'])
  const failure = run([...aptGet, 'install', '-y', '--no-install-recommends', ...packages])
  if (failure) console.error(`apt-get cannot install ${list}, which the tests need: ${failure}`)
}

/** The last line of what went wrong, or `null`. */
function run([command, ...args]) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const ran = spawnSync(command, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] })
  return ran.status === 0 ? null : (ran.stderr ?? ran.error?.message ?? '').trim().split('\n').at(-1)
}

function isOnPath(program) {
  // Debian puts servers where only root's PATH leads.
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
