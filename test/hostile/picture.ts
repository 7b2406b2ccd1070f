import type { Outcome } from './journey.ts'
import type { Journeys } from './report.ts'
import { titleOf } from './travellers/travellers.ts'

const [ROW, COLUMN, MARGIN, HEAD] = [26, 170, 130, 34]
const COLOURS = { good: '#2e9e5b', poor: '#e0a030', bad: '#c8463c' }

/** Who came through which box, as an SVG: green lost nothing, amber something, red got nothing at all. */
export function picture(boxes: readonly string[], travellers: readonly string[], journeys: Journeys): string {
  const width = MARGIN + travellers.length * COLUMN
  const height = HEAD + boxes.length * ROW
  const heads = travellers.map((name, column) =>
    text(MARGIN + (column + 0.5) * COLUMN, 22, titleOf(name), 'middle'),
  )
  const rows = boxes.flatMap((box, row) => {
    const y = HEAD + row * ROW
    const cells = travellers.map((by, column) =>
      cell(MARGIN + column * COLUMN, y, journeys.get(box)?.get(by)),
    )
    return [text(MARGIN - 10, y + 17, box, 'end'), ...cells]
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">
<title>What came through which box, by whom</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${[...heads, ...rows].join('\n')}
</svg>
`
}

function cell(x: number, y: number, outcome: Outcome | undefined): string {
  if (!outcome) return ''
  const { lag, lost, doubled, messages } = outcome
  const missing = lost.received + lost.sent
  const isGood = missing === 0 && doubled === 0
  const colour = isGood ? COLOURS.good : lost.received === messages ? COLOURS.bad : COLOURS.poor
  const late =
    lag === undefined
      ? ''
      : ` · p99 ${lag.p99 < 1_000 ? `${Math.round(lag.p99)} ms` : `${(lag.p99 / 1_000).toFixed(1)} s`}`
  const label = lost.received === messages ? 'nothing arrives' : `${missing} lost${late}`
  const box = `<rect x="${x + 2}" y="${y + 2}" width="${COLUMN - 4}" height="${ROW - 4}" rx="4" fill="${colour}"/>`
  return box + text(x + COLUMN / 2, y + 17, label, 'middle', '#fff')
}

function text(x: number, y: number, label: string, anchor: string, fill = '#222'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${fill}">${label}</text>`
}
