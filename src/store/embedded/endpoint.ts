import { lstat, mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { giveTo } from './account.ts'
import { readIfPresent, writeWhole } from './files.ts'
import type { Home } from './home.ts'

const maxSocketDirBytes = 90 // a socket's whole path has 107, and ours is named .s.PGSQL.<port>
const firstPort = 20_000
const portCount = 12_000 // up to where systems take ports for outgoing connections

/** Where a server listens: a port on 127.0.0.1, and a unix socket in a folder that only the two of us can enter. */
export type Endpoint = { port: number; socketDir: string }

const fileOf = (home: string) => join(home, 'endpoint.json')

/** The endpoint of the last time as far as it is still to be had, otherwise a new one. */
export async function chooseEndpoint(home: Home): Promise<Endpoint> {
  const text = await readIfPresent(fileOf(home.path))
  const last = text ? (JSON.parse(text) as Endpoint) : null
  const endpoint = {
    port: last && (await isFree(last.port)) ? last.port : await findPort(),
    socketDir: await makeSocketDir(home, last?.socketDir),
  }
  await writeWhole(fileOf(home.path), JSON.stringify(endpoint))
  return endpoint
}

/**
 * Readies the socket's folder for a new server: makes it again where a cleaner of temporary files has taken it, and
 * clears what a killed server left, whose pid may belong to another process by now. No server may run on the home.
 */
export async function prepareSocketDir(home: Home, { port, socketDir }: Endpoint): Promise<void> {
  try {
    await mkdir(socketDir, { mode: 0o700 })
    await giveTo(home.account, socketDir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const socket = join(socketDir, `.s.PGSQL.${port}`)
  await Promise.all([rm(socket, { force: true }), rm(`${socket}.lock`, { force: true })])
}

/** Takes the socket's folder away if it lies outside the home. */
export async function removeSocketDir(home: Home, { socketDir }: Endpoint): Promise<void> {
  if (dirname(socketDir) !== home.path) await rmdir(socketDir).catch(() => {})
}

async function makeSocketDir(home: Home, last: string | undefined): Promise<string> {
  const inside = join(home.path, 'socket')
  if (fits(inside)) {
    await mkdir(inside, { recursive: true, mode: 0o700 })
    await giveTo(home.account, inside)
    return inside
  }
  if (last && (await isPrivate(last, home))) return last
  const base = fits(join(tmpdir(), 'longwave-123456')) ? tmpdir() : '/tmp'
  const folder = await mkdtemp(join(base, 'longwave-'))
  await giveTo(home.account, folder)
  return folder
}

// A quote or backslash would need an escape in the settings file on top of its own.
const fits = (folder: string) => Buffer.byteLength(folder) <= maxSocketDirBytes && !/["\\]/.test(folder)

/** In a folder open to all, somebody else may have made a folder of that name. */
async function isPrivate(folder: string, { account }: Home): Promise<boolean> {
  const found = await lstat(folder).catch(() => null)
  const uid = account.uid ?? process.getuid?.()
  return found?.isDirectory() === true && found.uid === uid && (found.mode & 0o077) === 0
}

async function findPort(): Promise<number> {
  for (;;) {
    const port = firstPort + Math.floor(Math.random() * portCount)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
