import type { Database } from '../../src/store/database.ts'
import type { BenchDatabase } from './database.ts'
import type { Gateway } from './gateway.ts'
import type { World, WorldPlan } from './world.ts'

/** One line of the table. */
export type Figure = {
  /** What was measured, with its unit. */
  what: string
  value: string
  /** The figure to reach and whether it was; left out where there is none. */
  goal?: { text: string; met: boolean }
  /** What else one should know to judge the value. */
  note?: string
}

/** What a bench is given: a way to a seeded, fresh, real gateway. All that it starts ends with it. */
export type BenchContext = {
  /** How long each measurement lasts, without its warm-up. */
  seconds: number
  /** Connections of a closed-loop sender. */
  connections: number
  /** A fresh gateway over a fresh database that holds what `plan` says and `fill` adds, with more settings where needed. */
  boot(
    plan: WorldPlan,
    fill?: Fill,
    settings?: Record<string, string>,
  ): Promise<{ gateway: Gateway; world: World }>
  /** Several gateways over one such database, with a NATS server among them or without; they end with `owner`. */
  bootNodes(
    plan: WorldPlan,
    nodes: { count: number; withNats: boolean; environment?: Record<string, string> },
    owner: AsyncDisposableStack,
  ): Promise<Nodes>
  /** Ends `resource` with the bench. */
  use<T extends AsyncDisposable>(resource: T): T
  progress(text: string): void
}

/** Adds to a database before a gateway has it. */
export type Fill = (database: Database, world: World) => Promise<void>

type Nodes = { gateways: Gateway[]; world: World; database: BenchDatabase }

export type Bench = {
  name: string
  run(context: BenchContext): Promise<Figure[]>
}

/** A figure that has to be at least `goal`. */
export function atLeast(goal: number, value: number): Pick<Figure, 'value' | 'goal'> {
  return { value: round(value), goal: { text: `≥ ${round(goal)}`, met: value >= goal } }
}

/** A figure that has to be at most `goal`, in `unit`. */
export function atMost(goal: number, value: number, unit: string): Pick<Figure, 'value' | 'goal'> {
  return { value: `${round(value)} ${unit}`, goal: { text: `≤ ${goal} ${unit}`, met: value <= goal } }
}

/** Three digits are all that a shared machine can tell. */
export function round(value: number): string {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}
