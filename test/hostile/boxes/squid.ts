import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { boxUser, locate } from '../program.ts'
import type { Definition, Place } from '../program-box.ts'

const run = (configuration: string) => ({
  program: 'squid',
  args: ({ folder }: { folder: string }) => ['-N', '-f', `${folder}/${configuration}`],
})

/** squid with Debian's rules. */
export const squid: Definition = {
  name: 'squid',
  kind: 'forward',
  templates: ['squid.conf'],
  ...run('squid.conf'),
}

/** squid that refuses event streams by their type, and what takes long by its time. */
export const squidRules: Definition = {
  name: 'squid-rules',
  kind: 'forward',
  templates: ['squid-rules.conf'],
  ...run('squid-rules.conf'),
}

/** squid that opens TLS with an authority that the office's machines trust, and has ClamAV read every answer. */
export const squidScanner: Definition = {
  name: 'squid-scanner',
  kind: 'forward',
  templates: ['squid-scanner.conf', 'authority.pem', 'c-icap.conf', 'clamd.conf', 'signatures.ndb'],
  before: [
    { port: 'signaturesPort', program: 'clamd', args: ({ folder }) => ['-c', `${folder}/clamd.conf`] },
    { port: 'scannerPort', program: 'c-icap', args: ({ folder }) => ['-N', '-f', `${folder}/c-icap.conf`] },
  ],
  authority: fileURLToPath(new URL('authority.crt', import.meta.url)),
  prepare: makeCertificateStore,
  ...run('squid-scanner.conf'),
}

function makeCertificateStore({ folder }: Place): void {
  const args = ['-c', '-s', `${folder}/certificates`, '-M', '4MB']
  const made = spawnSync(locate('security_file_certgen'), args, { ...boxUser, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(made.stderr)
}
