import { cpuSeconds, machineCpuSeconds, postgresPids } from './processes.ts'

/** Whose CPU time is counted. */
export type Parties = { gateway: number; database: string; load: readonly number[] }

/** CPU seconds spent between two moments, `wall` seconds apart. */
export type CpuUse = { wall: number; gateway: number; postgres: number; load: number; others: number }

/** Begins to count; the function it returns says what was spent since. */
export function countCpu({ gateway, database, load }: Parties): () => CpuUse {
  const loadPids = [...load, process.pid]
  const read = () => ({
    at: performance.now(),
    gateway: cpuSeconds(gateway),
    postgres: postgresPids(database).reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    load: loadPids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    machine: machineCpuSeconds(),
  })
  const before = read()
  return () => {
    const after = read()
    const spent = (party: 'gateway' | 'postgres' | 'load' | 'machine') => after[party] - before[party]
    const ours = spent('gateway') + spent('postgres') + spent('load')
    return {
      wall: (after.at - before.at) / 1_000,
      gateway: spent('gateway'),
      postgres: spent('postgres'),
      load: spent('load'),
      others: Math.max(0, spent('machine') - ours),
    }
  }
}

/** Who had how much of a core; `others` is what does not belong to the bench and so spoils it. */
export function coresNote({ wall, gateway, postgres, load, others }: CpuUse): string {
  const share = (seconds: number) => `${Math.round((seconds / wall) * 100)} %`
  return `of a core: gateway ${share(gateway)}, Postgres ${share(postgres)}, load ${share(load)}, others ${share(others)}`
}
