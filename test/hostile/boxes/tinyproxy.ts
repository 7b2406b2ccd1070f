import type { Definition } from '../program-box.ts'

/** tinyproxy with Debian's settings. */
export const tinyproxy: Definition = {
  name: 'tinyproxy',
  kind: 'forward',
  program: 'tinyproxy',
  templates: ['tinyproxy.conf'],
  args: () => ['-d', '-c', 'tinyproxy.conf'],
}
