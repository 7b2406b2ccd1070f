import type { Definition } from '../program-box.ts'

const run = (configuration: string) => ({
  program: 'nginx',
  templates: [configuration],
  args: ({ folder }: { folder: string }) => ['-p', folder, '-e', 'stderr', '-c', configuration],
})

/** nginx as `proxy_pass` alone leaves it: it buffers answers unless they ask it not to, and takes bodies up to 1 MB. */
export const nginx: Definition = { name: 'nginx', kind: 'reverse', ...run('nginx.conf') }

/** nginx with a rule of a firewall: nobody may GET what looks like a feed. */
export const nginxFirewall: Definition = {
  name: 'nginx-firewall',
  kind: 'reverse',
  ...run('nginx-firewall.conf'),
}

/** nginx of an operator who has read that buffering is good: it overrules `X-Accel-Buffering` and cuts after 30 s. */
export const nginxBuffering: Definition = {
  name: 'nginx-buffering',
  kind: 'reverse',
  ...run('nginx-buffering.conf'),
}
