import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What the tests run besides Node: the program, the Debian package that brings it, its services if named otherwise. */
const testTools = [
  { programs: ['chromium', 'chromium-browser', 'google-chrome'], debianPackage: 'chromium' },
  { programs: ['nats-server'], debianPackage: 'nats-server' },
  { programs: ['nginx'], debianPackage: 'nginx' },
  { programs: ['haproxy'], debianPackage: 'haproxy' },
  { programs: ['curl'], debianPackage: 'curl' },
  { programs: ['dash'], debianPackage: 'dash' },
  { programs: ['python3'], debianPackage: 'python3' },
  { programs: ['squid'], debianPackage: 'squid-openssl', services: ['squid'] },
  { programs: ['privoxy'], debianPackage: 'privoxy' },
]

/** What the whole lab of middleboxes runs besides. */
const labTools = [
  { programs: ['varnishd'], debianPackage: 'varnish', services: ['varnish', 'varnishncsa'] },
  { programs: ['apache2'], debianPackage: 'apache2', services: ['apache2', 'apache-htcacheclean'] },
  { programs: ['mitmdump'], debianPackage: 'mitmproxy' },
  { programs: ['tinyproxy'], debianPackage: 'tinyproxy' },
  { programs: ['c-icap'], debianPackage: 'libc-icap-mod-virus-scan', services: ['c-icap'] },
  {
    programs: ['clamd'],
    debianPackage: 'clamav-daemon',
    services: ['clamav-daemon.socket', 'clamav-freshclam'],
  },
]

/** What Debian starts nothing for when it stands there and says 101. */
const startPolicy = '/usr/sbin/policy-rc.d'

/**
 * Installs the missing ones through apt-get; says in one line where it cannot, and leaves it to the tests to fail.
 *
 * @param {{ hostile: boolean }} options `hostile` adds what the whole lab of middleboxes needs
 */
export function installTestTools({ hostile }) {
  const tools = [...testTools, ...(hostile ? labTools : [])].filter(
    ({ programs }) => !programs.some(isOnPath),
  )
  const packages = tools.map((tool) => tool.debianPackage)
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
  const failure = withoutStarting(asRoot, tools, () =>
    run([...aptGet, 'install', '-y', '--no-install-recommends', ...packages]),
  )
  if (failure) console.error(`apt-get cannot install ${list}, which the tests need: ${failure}`)
}

/** Debian starts a server as it installs it, now and at each boot; the tests start their own, on ports of their own. */
function withoutStarting(asRoot, tools, install) {
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
    const services = tools.flatMap((tool) => tool.services ?? [tool.debianPackage])
    if (isOnPath('systemctl')) for (const name of services) run([...asRoot, 'systemctl', 'disable', name])
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
