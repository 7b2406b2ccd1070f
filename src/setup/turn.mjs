import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const pollMs = 100
const claimName = /^[0-9a-f-]{36}$/

/**
 * Waits until nobody else works in `folder`. Claims carry names of their own, so removing that of a dead process can
 * hit no living one; each is written before the others are listed, so of two comers at least one sees the other.
 *
 * @param {string} folder made if missing
 * @param {() => void} onWait called once when there is somebody to wait for
 * @returns {Promise<{ include(pid: number): void, end(): void }>} `include` makes a child part of the claim: it
 *   counts while either lives
 */
export async function takeTurn(folder, onWait) {
  mkdirSync(folder, { recursive: true })
  const rank = randomUUID()
  const claim = join(folder, rank)
  const held = `${claim}.held`
  const withdraw = () => {
    rmSync(claim, { force: true })
    rmSync(held, { force: true })
  }
  for (let waited = false; ; waited = true) {
    writeWhole(claim, [identify(process.pid)])
    const others = () => liveClaims(folder).filter((name) => name !== rank)
    while (!others().some((name) => isHeld(folder, name) || name < rank)) {
      if (others().length === 0) {
        writeFileSync(held, '')
        return { include: (pid) => writeWhole(claim, [identify(process.pid), identify(pid)]), end: withdraw }
      }
      await pause(pollMs)
    }
    withdraw()
    if (!waited) onWait()
    await pause(pollMs)
  }
}

function liveClaims(folder) {
  return readdirSync(folder).filter((name) => {
    if (!claimName.test(name)) return false
    if (readClaim(join(folder, name)).some(({ pid, started }) => isRunning(pid, started))) return true
    rmSync(join(folder, name), { force: true })
    rmSync(join(folder, `${name}.held`), { force: true })
    return false
  })
}

const isHeld = (folder, name) => readdirSync(folder).includes(`${name}.held`)

function readClaim(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return [] // just withdrawn
  }
}

function writeWhole(file, content) {
  writeFileSync(`${file}.new`, JSON.stringify(content))
  renameSync(`${file}.new`, file)
}

const identify = (pid) => ({ pid, started: startTime(pid) })

function isRunning(pid, started) {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (error.code !== 'EPERM') return false
  }
  return startTime(pid) === started
}

/** Ticks since boot, or `null` where the system does not tell; sees through a pid that was used again. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? 'ended' : fields[18]
  } catch {
    return null
  }
}
