import type { Finding } from './checks/finding.ts'
import type { Outcome } from './journey.ts'

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
export function journeysTable(boxes: readonly string[], journeys: Journeys): string {
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
    [...(journeys.get(box) ?? [])].map(([traveller, outcome]) => [box, traveller, ...cells(outcome)]),
  )
  return table([...heads, 'out of order'], rows)
}

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
    ...[firstMessageMs, lag?.p50, lag?.p99, backMs].map((ms) =>
      ms === undefined ? 'never' : `${Math.round(ms)} ms`,
    ),
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
