import type { Definition } from '../program-box.ts'

const run = (configuration: string) => ({
  program: 'apache2',
  templates: [configuration],
  args: ({ folder }: { folder: string }) => ['-D', 'FOREGROUND', '-d', folder, '-f', configuration],
})

/** Apache with the modules and times that Debian switches on, and ProxyPass. */
export const apache: Definition = { name: 'apache', kind: 'reverse', ...run('apache.conf') }

/** Apache made to speak HTTP/1.0 to both sides: no keep-alive, no chunks, an answer ends where its connection does. */
export const http10: Definition = { name: 'http-1.0', kind: 'reverse', ...run('http-1.0.conf') }
