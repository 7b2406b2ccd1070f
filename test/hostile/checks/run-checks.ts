import { Person } from '../../support/person.ts'
import type { Box, Origin } from '../box.ts'
import { checks, patientChecks } from './checks.ts'
import { type Finding, found } from './finding.ts'

/** Tries a started box with the checks named. Each has a reader of its own; `seconds` is for those that watch. */
export async function runChecks(
  box: Box,
  origin: Origin,
  names: readonly string[],
  seconds: number,
): Promise<Map<string, Finding>> {
  const writer = await Person.signUp(origin.http)
  const findings = new Map<string, Finding>()
  const run = async (name: string) => {
    const reader = await Person.signUp(origin.http)
    const conversation = await writer.direct(reader)
    const write = (text: string) => writer.send(conversation, text)
    const finding = checks[name]?.({ box, reader, conversation, write, seconds })
    if (!finding) throw new Error(`there is no check "${name}", but ${Object.keys(checks).join(', ')}`)
    findings.set(name, await finding.catch((error: Error) => found('stalls', error.message)))
  }
  await Promise.all(names.filter((name) => name in patientChecks).map(run))
  for (const name of names) if (!(name in patientChecks)) await run(name)
  return findings
}
