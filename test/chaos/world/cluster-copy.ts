import { spawn } from 'node:child_process'
import { cp, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { toEnd } from './to-end.ts'

/** What a copy of a running server leaves out. */
const NOT_COPIED = /^(postmaster\.(pid|opts)|pg_wal|pg_replslot|pg_dynshmem|pg_stat_tmp|pg_subtrans)$/

/** Copies what a running server has on disk; files that vanish meanwhile are made again from its log. */
export async function copyCluster(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (NOT_COPIED.test(name)) await mkdirLike(from, to, name)
    else await toEnd(spawn('cp', ['-a', join(from, name), to])).catch(ignoreVanished)
  }
}

function ignoreVanished(error: Error): void {
  if (!/No such file/.test(error.message)) throw error
}

async function mkdirLike(from: string, to: string, name: string): Promise<void> {
  if (name.startsWith('postmaster.')) return
  await cp(join(from, name), join(to, name), { recursive: true, filter: (path) => path === join(from, name) })
  if (name === 'pg_wal') await mkdir(join(to, name, 'archive_status'), { mode: 0o700 })
}
