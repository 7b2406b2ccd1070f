import { cpus, release, totalmem } from 'node:os'
import type { Figure } from './bench.ts'

const COLUMNS = ['', 'measured', 'goal', ''] as const

/** What the figures were measured on. */
export function machineLine(postgres: string): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} cores (${model}), ${memory} GB, Linux ${release()}, Node ${process.versions.node}, Postgres ${postgres}`
}

/** For the terminal: columns by blanks. */
export function plainTable(figures: readonly Figure[]): string {
  const rows = [COLUMNS.slice(), ...figures.map(cells)]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** For the README. */
export function markdownTable(figures: readonly Figure[]): string {
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`
  return [
    line(COLUMNS),
    line(COLUMNS.map(() => '---')),
    ...figures.map((figure) => line(cells(figure))),
  ].join('\n')
}

function cells({ what, value, goal, note = '' }: Figure): string[] {
  return [what, value, goal ? `${goal.text} ${goal.met ? '✓' : '✗'}` : '', note]
}
