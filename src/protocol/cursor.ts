import type { ResetReason } from './types.ts'

/** A place in one inbox: everything up to and including `id` has been processed. */
export type Cursor = { readonly epoch: string; readonly id: number }

const WIRE_FORM = /^([a-z0-9]{1,32})-(0|[1-9][0-9]{0,15})$/

/** The wire form `<epoch>-<id>`, opaque to clients, safe in a header, under 64 bytes. */
export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}-${cursor.id}`
}

/** Reads a wire form. Returns `undefined` for anything that no server ever gave out. */
export function parseCursor(text: string): Cursor | undefined {
  const match = WIRE_FORM.exec(text)
  const id = Number(match?.[2])
  if (!match?.[1] || !Number.isSafeInteger(id)) return undefined
  return { epoch: match[1], id }
}

/** Where a reader wants to begin. */
export type Start = Cursor | 'oldest' | 'head'

/** Where a reader begins: behind `after`. Or, with `reset`, why its cursor cannot be honoured; `after` is then the head. */
export type Opening = {
  epoch: string
  /** The database's own epoch, of which each inbox's is made. */
  database_epoch: string
  head: number
  after: number
  reset?: ResetReason
}
