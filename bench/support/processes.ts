import { readdirSync, readFileSync } from 'node:fs'

/** `/proc` counts CPU time in these. */
const TICKS_PER_SECOND = 100
const KIB = 1024

type Stat = { parent: number; cpuSeconds: number }

/** CPU time of a process so far, user and system, all threads; 0 once it is gone. */
export function cpuSeconds(pid: number): number {
  return readStat(pid)?.cpuSeconds ?? 0
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? 0) * KIB
}

/** CPU time that the whole machine has spent working since it began. */
export function machineCpuSeconds(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/).map(Number) ?? []
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
}

/**
 * The Postgres processes that work for `database`: its backends, and the helpers of their server (checkpointer, WAL
 * writer), which other databases of that server share.
 */
export function postgresPids(database: string): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), title: readTitle(name) }))
    .filter(({ title }) => title.startsWith('postgres: '))
  const backends = all.filter(({ title }) => title.split(' ').includes(database)).map(({ pid }) => pid)
  const servers = new Set(backends.map((pid) => readStat(pid)?.parent))
  const helpers = all
    .filter(({ title }) => /^postgres: (checkpointer|background writer|walwriter|io worker)/.test(title))
    .map(({ pid }) => pid)
    .filter((pid) => servers.has(readStat(pid)?.parent))
  return [...backends, ...helpers]
}

function readTitle(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is a name in brackets that may hold blanks; what follows is numbered from 3.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const cpuTicks = Number(fields[11]) + Number(fields[12])
    return { parent: Number(fields[1]), cpuSeconds: cpuTicks / TICKS_PER_SECOND }
  } catch {
    return undefined
  }
}
