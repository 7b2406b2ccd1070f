import { chown, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/free-port.ts'
import type { Box, BoxKind, Origin } from './box.ts'
import { boxUser, Program } from './program.ts'

/** Where one box is: its folder, its ports on 127.0.0.1, the server's host and port. These are the templates' words. */
export type Place = Readonly<
  Record<'folder' | 'port' | 'scannerPort' | 'signaturesPort' | 'originHost' | 'originPort', string>
>

type Run = { program: string; args: (place: Place) => string[] }

/** What makes a program a box. */
export type Definition = Run & {
  name: string
  kind: Exclude<BoxKind, 'tcp'>
  /** Files beside the box's module that are put into its folder, `{{word}}` replaced by that of the place. */
  templates: readonly string[]
  /** Programs that it talks to; each is waited for on its port before the next starts. */
  before?: readonly (Run & { port: 'scannerPort' | 'signaturesPort' })[]
  /** Authority (PEM file) that signs for it as it opens TLS; clients then call the server's https address. */
  authority?: string
  /** Work in the furnished folder before the programs start. */
  prepare?: (place: Place) => void
}

/** What a running box takes up. */
export type Traces = { groups: number[]; folders: string[] }

/** A box made of a program from a Debian package, its configuration rendered into a folder of its own. */
export class ProgramBox implements Box {
  readonly name: string
  readonly kind: BoxKind
  readonly authority: string | undefined
  readonly #definition: Definition
  readonly #programs: Program[] = []
  #port: string | undefined
  #origin: Origin = { http: '', https: '' }

  constructor(definition: Definition) {
    this.name = definition.name
    this.kind = definition.kind
    this.authority = definition.authority
    this.#definition = definition
  }

  get url(): string {
    return this.kind === 'reverse' ? this.#address : this.#server
  }

  get proxyUrl(): string | undefined {
    return this.kind === 'forward' ? this.#address : undefined
  }

  /** What there is of it now, to see later that it is gone: process groups and folders. */
  get traces(): Traces {
    const groups = this.#programs.map(({ group }) => group)
    return { groups, folders: this.#programs.map(({ folder }) => folder) }
  }

  async start(origin: Origin): Promise<void> {
    this.#origin = origin
    this.#port ??= String(await freePort())
    try {
      await this.#run(await this.#choosePlace(this.#port))
    } catch (cause) {
      await this.stop()
      throw new Error(`${this.name} does not start: ${(cause as Error).message}`, { cause })
    }
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start(this.#origin)
  }

  async stop(): Promise<void> {
    // The last first: a scanner does not end while its proxy still talks to it.
    for (const program of this.#programs.splice(0).reverse()) await program.stop()
  }

  get #address(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get #server(): string {
    return this.authority === undefined ? this.#origin.http : this.#origin.https
  }

  async #choosePlace(port: string): Promise<Place> {
    const { hostname, port: originPort } = new URL(this.#server)
    const folder = await mkdtemp(join(tmpdir(), `longwave-lab-${this.name}-`))
    const [scannerPort, signaturesPort] = [String(await freePort()), String(await freePort())]
    return { folder, port, scannerPort, signaturesPort, originHost: hostname, originPort }
  }

  async #run(place: Place): Promise<void> {
    const { templates, prepare, before = [], program, args } = this.#definition
    await furnish(place, templates)
    prepare?.(place)
    for (const run of [...before, { port: 'port', program, args } as const]) {
      const started = new Program(run.program, run.args(place), place.folder)
      this.#programs.push(started)
      await started.listensOn(Number(place[run.port]))
    }
  }
}

async function furnish(place: Place, templates: readonly string[]): Promise<void> {
  for (const name of templates) {
    const template = await readFile(new URL(`boxes/${name}`, import.meta.url), 'utf8')
    const text = template.replaceAll(/\{\{(\w+)\}\}/g, (_, word: keyof Place) => place[word])
    await writeFile(join(place.folder, name), text)
  }
  if (boxUser.uid !== undefined) await chown(place.folder, boxUser.uid, boxUser.gid)
}
