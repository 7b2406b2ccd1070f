import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What the tests run besides Node, by the names of its program and the Debian package that brings it. */
const testTools = [
  { programs: ['chromium', 'chromium-browser', 'google-chrome'], debianPackage: 'chromium' },
  { programs: ['nats-server'], debianPackage: 'nats-server' },
  { programs: ['nginx'], debianPackage: 'nginx' },
  { programs: ['haproxy'], debianPackage: 'haproxy' },
]

/** What Debian starts nothing for when it stands there and says 101. */
const startPolicy = '/usr/sbin/policy-rc.d'

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
  const failure = withoutStarting(asRoot, packages, () =>
    run([...aptGet, 'install', '-y', '--no-install-recommends', ...packages]),
  )
  if (failure) console.error(`apt-get cannot install ${list}, which the tests need: ${failure}`)
}

/** Debian starts a server as it installs it, now and at each boot; the tests start their own, on ports of their own. */
function withoutStarting(asRoot, packages, install) {
  if (existsSync(startPolicy)) return install()
  run([
    ...asRoot,
    'sh',
    '-c',
    `printf '#!/bin/sh\\nexit 101\\n' > ${startPolicy} && chmod 755 ${startPolicy}`,
  ])
  try {
    return install()
  } finally {
    run([...asRoot, 'rm', '-f', startPolicy])
    if (isOnPath('systemctl')) for (const name of packages) run([...asRoot, 'systemctl', 'disable', name])
  }
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
