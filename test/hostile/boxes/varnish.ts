import type { Definition } from '../program-box.ts'

/** varnish with its built-in rules. It compiles them, so it wants the C compiler that its package brings. */
export const varnish: Definition = {
  name: 'varnish',
  kind: 'reverse',
  program: 'varnishd',
  templates: ['varnish.vcl'],
  args: ({ folder, port }) => [
    ...['-F', '-n', `${folder}/varnish`, '-f', `${folder}/varnish.vcl`],
    ...['-a', `127.0.0.1:${port}`, '-T', 'none', '-j', 'none', '-s', 'malloc,8m'],
  ],
}
