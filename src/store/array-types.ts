/**
 * Postgres' text form of one-dimensional arrays, for the driver. Its own look-up of array types is off: it costs a query
 * per connection, and a connection lost during it ends the process.
 */

type Element = string | number | boolean | Buffer | null

/** `{"a","b\"c",NULL}`; bytes as hex. */
export function formatArray(values: readonly Element[]): string {
  return `{${values.map(formatElement).join(',')}}`
}

function formatElement(value: Element): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return `"${/["\\]/.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`
  return Buffer.isBuffer(value) ? `"\\\\x${value.toString('hex')}"` : String(value)
}

/** Reads what `formatArray` writes, and Postgres. */
export function parseArray(text: string): (string | null)[] {
  const inner = text.slice(1, -1)
  if (inner === '') return []
  if (!inner.includes('"')) return inner.split(',').map((each) => (each === 'NULL' ? null : each))
  return [...inner.matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/gs)].map(([, quoted, bare]) => {
    if (quoted !== undefined) return quoted.replace(/\\(.)/gs, '$1')
    return bare === undefined || bare === 'NULL' ? null : bare
  })
}

const parseNumbers = (text: string) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number))

function arrayType(oid: number, parse: (text: string) => unknown[] = parseArray) {
  return { to: oid, from: [oid], serialize: formatArray, parse }
}

/** The array types that our queries take and give, by the OIDs that every Postgres has. */
export const arrayTypes = {
  booleans: arrayType(1000),
  byteas: arrayType(1001),
  texts: arrayType(1009),
  bigints: arrayType(1016, parseNumbers),
  uuids: arrayType(2951),
}
