import type { Finding } from './checks/finding.ts'
import type { Outcome } from './journey.ts'
import { titleOf } from './travellers/travellers.ts'

/** By box and check. */
export type Findings = Map<string, ReadonlyMap<string, Finding>>

/** By box and traveller. */
export type Journeys = Map<string, ReadonlyMap<string, Outcome>>

/** What each box did to each check, as Markdown. */
export function findingsTable(
  boxes: readonly string[],
  checks: readonly string[],
  findings: Findings,
): string {
  const rows = boxes.map((box) => [
    box,
    ...checks.map((check) => {
      const finding = findings.get(box)?.get(check)
      if (!finding) return ''
      return finding.verdict === 'passes'
        ? finding.measure
        : `**${finding.verdict}** ${shortened(finding.measure)}`
    }),
  ])
  return table(['box', ...checks], rows)
}

/** How each traveller came through each box, as Markdown. */
export function journeysTable(
  boxes: readonly string[],
  travellers: readonly string[],
  journeys: Journeys,
): string {
  const heads = [
    'box',
    'traveller',
    'by',
    'changes/min',
    'first',
    'lag p50',
    'p99',
    'back after',
    'lost ↓',
    'lost ↑',
    'doubled',
  ]
  const rows = boxes.flatMap((box) =>
    travellers.flatMap((by) => {
      const outcome = journeys.get(box)?.get(by)
      return outcome ? [[box, by, ...cells(outcome)]] : []
    }),
  )
  return table([...heads, 'out of order'], rows)
}

/** At a glance: per box and traveller what carried in the end and how late, or what was lost of how many. */
export function matrixTable(
  boxes: readonly string[],
  travellers: readonly string[],
  journeys: Journeys,
): string {
  const glance = ({ rungs, lag, lost, messages }: Outcome) => {
    const missing = lost.received + lost.sent
    if (lost.received === messages) return '**nothing arrives**'
    const by = [rungs.at(-1), lag && `p99 ${milliseconds(lag.p99)}`].filter(Boolean).join(', ')
    return missing === 0 ? by : `**${missing} of ${2 * messages} lost**`
  }
  const rows = boxes.map((box) => [
    box,
    ...travellers.map((by) => {
      const outcome = journeys.get(box)?.get(by)
      return outcome ? glance(outcome) : ''
    }),
  ])
  return table(['box', ...travellers.map(titleOf)], rows)
}

const milliseconds = (ms: number | undefined) => (ms === undefined ? 'never' : `${Math.round(ms)} ms`)

function cells({
  rungs,
  changes,
  firstMessageMs,
  lag,
  backMs,
  lost,
  doubled,
  disordered,
}: Outcome): string[] {
  return [
    rungs.join(' → '),
    rungs.length === 0 ? '' : `${changes}`,
    ...[firstMessageMs, lag?.p50, lag?.p99, backMs].map(milliseconds),
    ...[lost.received, lost.sent, doubled, disordered].map((count) => (count === 0 ? '0' : `**${count}**`)),
  ]
}

const shortened = (text: string) => text.replace(/^curl: \((\d+)\).*/, 'curl $1')

/** Rows as a Markdown table, its columns as wide as their widest cell. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[], fill = ' ') =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width, fill)).join(' | ')} |`
  return [line(heads), line([], '-'), ...rows.map((row) => line(row))].join('\n')
}
