import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../src/config.ts'
import { flyToml } from './support/fly-schema.ts'

const run = promisify(execFile)
const fileOf = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const read = (path: string) => readFileSync(fileOf(path), 'utf8')
const fly = (path: string) => flyToml.parse(parse(read(path)))
const seconds = (duration = '') => Number(/^(\d+)s$/.exec(duration)?.[1])

describe('fly.toml', () => {
  test('is one, and asks for what rolling over without a loss needs', () => {
    const { kill_signal, kill_timeout, deploy, http_service } = fly('fly.toml')
    expect(kill_signal).toBe('SIGTERM')
    // A node is gone within 10 s.
    expect(seconds(kill_timeout)).toBeGreaterThan(10)
    expect(deploy).toEqual({ strategy: 'rolling', max_unavailable: 1 })
    expect(http_service?.auto_stop_machines).toBe(false)
    expect(http_service?.min_machines_running).toBeGreaterThan(1)
    const [check] = http_service?.checks ?? []
    expect(check?.path).toBe('/readyz?exclude=nats')
    // A node that drains accepts for 4 s.
    expect(seconds(check?.interval)).toBeLessThan(4)
  })

  test('sets what the gateway knows, to values that it takes', () => {
    const { env = {}, http_service } = fly('fly.toml')
    const source = read('src/config.ts')
    for (const name of Object.keys(env)) expect(source).toMatch(new RegExp(`^ {2}${name}: `, 'm'))
    const config = loadConfig(env)
    expect(config.port).toBe(http_service?.internal_port)
    expect(config.host).toBe('0.0.0.0')
    expect(config.publicUrl).toBe(`https://${fly('fly.toml').app}.fly.dev`)
  })

  test('names secrets in its comments as the gateway does, and a NATS_URL that it takes', () => {
    const secrets = [...read('fly.toml').matchAll(/^# +fly secrets set (\w+)=(\S+)/gm)]
    expect(secrets.map(([, name]) => name)).toEqual(['DATABASE_URL', 'NATS_URL'])
    const nats = loadConfig({ NATS_URL: secrets[1]?.[2] }).nats
    const names = Object.keys(fly('deploy/nats.fly.toml').processes ?? {})
    const app = fly('deploy/nats.fly.toml').app
    expect(nats).toMatchObject({ user: 'chat', pass: 'PASSWORD' })
    expect(nats?.servers).toEqual(names.map((name) => `${name}.process.${app}.internal:4222`))
  })

  test.each([{ kill_timout: '5s' }, { kill_signal: 'TERM' }, { deploy: { strategy: 'slowly' } }])(
    'would not be one with %j',
    (wrong) => {
      expect(flyToml.safeParse({ ...parse(read('fly.toml')), ...wrong }).success).toBe(false)
    },
  )
})

describe('deploy/nats.fly.toml', () => {
  test('is one, is private, and gives each server the configuration', () => {
    const app = fly('deploy/nats.fly.toml')
    expect(app.http_service).toBeUndefined()
    const [file] = app.files ?? []
    expect(existsSync(fileOf(`deploy/${file?.local_path}`))).toBe(true)
    for (const command of Object.values(app.processes ?? {})) expect(command).toContain(file?.guest_path)
  })

  test('whose routes are its own machines, and which NATS takes', async () => {
    const { app, processes = {}, kill_timeout } = fly('deploy/nats.fly.toml')
    const text = read('deploy/nats.conf')
    const routes = [...text.matchAll(/"nats:\/\/(\S+):6222"/g)].map(([, host]) => host)
    expect(routes).toEqual(Object.keys(processes).map((name) => `${name}.process.${app}.internal`))
    expect(seconds(kill_timeout)).toBeGreaterThan(seconds(/lame_duck_duration: "(\w+)"/.exec(text)?.[1]))
    const env = { PATH: `${process.env.PATH}:/usr/sbin`, NATS_USER: 'chat', NATS_PASSWORD: 'secret' }
    const { stderr } = await run('nats-server', ['-t', '-c', fileOf('deploy/nats.conf')], { env })
    expect(stderr).toContain('is valid')
  })
})

test('the Dockerfile runs the gateway as npm start does, on the Node that package.json asks for', () => {
  const dockerfile = read('Dockerfile')
  const { scripts, dependencies } = JSON.parse(read('package.json'))
  const command = JSON.parse(/^CMD (.*)$/m.exec(dockerfile)?.[1] ?? '[]')
  expect(command.join(' ')).toBe(scripts.start)
  expect(dockerfile).toContain(`FROM node:${/\d+/.exec(dependencies.node)?.[0]}-slim`)
  expect(dockerfile).toMatch(/^USER node$/m)
  // What is copied must not be ignored.
  const allowed = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  for (const [, sources = ''] of dockerfile.matchAll(/^COPY (.+) \S+$/gm)) {
    for (const source of sources.split(' ')) expect(allowed).toContain(source)
  }
})
