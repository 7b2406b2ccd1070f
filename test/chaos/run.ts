import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { check } from './checker/check.ts'
import { keepHistory } from './history/keep.ts'
import { countOf, report } from './report.ts'
import { runCampaign } from './run-campaign.ts'
import { LARGE } from './sizes.ts'
import { World } from './world/world.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seconds: { type: 'string', default: '120' } },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const seconds = Number(values.seconds)
if (!Number.isSafeInteger(seed) || !(seconds > 0)) {
  console.error('usage: npm run chaos -- --seed 1 --seconds 120')
  process.exit(2)
}
console.log(`seed         ${seed}, ${seconds} s of faults`)
const world = await World.start(LARGE.world)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void world[Symbol.asyncDispose]().then(() => process.exit(130)))
}
let isGood = false
try {
  const history = await runCampaign(world, { ...LARGE.campaign, seed, seconds, progress: console.log })
  const verdict = check(history)
  console.log(report(history, verdict))
  isGood = verdict.violations.length === 0
  if (!isGood) {
    const folder = join(tmpdir(), `longwave-chaos-seed-${seed}-${Date.now()}`)
    await mkdir(folder)
    await keepHistory(folder, history, verdict.violations)
    for (const node of world.nodes) await writeFile(join(folder, `${node.name}.log`), node.log)
    console.log(`kept         ${folder}; again: npm run chaos -- --seed ${seed} --seconds ${seconds}`)
  }
  console.log(`--kills ${countOf(history).kills}`)
} finally {
  await world[Symbol.asyncDispose]()
}
process.exit(isGood ? 0 : 1)
