import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { type FieldError, MAX_ERRORS, Problem, type ProblemCode } from '../protocol/problems.ts'
import { idempotencyKey } from '../protocol/schemas.ts'
import type { Caller } from './auth/tokens.ts'

/** What an endpoint knows of the request beside its parsed input. */
export type RequestFacts = {
  incoming: IncomingMessage
  /** Without the query, which may hold what only keeps proxies from merging requests. */
  path: string
  /** The caller's address, behind trusted proxies. */
  address: string
  /** Whether the caller speaks https. */
  secure: boolean
  /** `Idempotency-Key`, checked; only for endpoints that create. */
  key: string | undefined
}

export type Reply = {
  status: number
  /** Becomes JSON; none for 204. */
  body?: unknown
  headers?: Record<string, string>
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

/** One operation of the API: what it takes, what it gives, what it does. The OpenAPI document is made of these. */
export type Endpoint<
  P extends z.ZodObject | undefined = z.ZodObject | undefined,
  Q extends z.ZodObject | undefined = z.ZodObject | undefined,
  B extends z.ZodType | undefined = z.ZodType | undefined,
  U extends boolean = boolean,
> = {
  summary: string
  tag: string
  /** Whether somebody must be signed in. */
  signedIn: U
  /** Only for the product's back end, with the ADMIN_TOKEN; then nobody is signed in. */
  admin?: boolean
  /** Whether it creates something, so that `Idempotency-Key` makes it repeatable. */
  creates?: boolean
  params?: P
  query?: Q
  body?: B
  answers: Record<number, { description: string; schema?: z.ZodType }>
  problems?: readonly ProblemCode[]
  handle(
    input: {
      params: Parsed<P>
      query: Parsed<Q>
      body: Parsed<B>
      caller: U extends true ? Caller : undefined
    },
    facts: RequestFacts,
  ): Promise<Reply>
}

/** Gives the handler its types from the schemas beside it. */
export function endpoint<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  U extends boolean = true,
>(definition: Endpoint<P, Q, B, U>): Endpoint {
  return definition as unknown as Endpoint
}

/** Parses at the edge: behind this, types are trusted. Throws Problem with one entry per wrong field. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, place: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  if (value === undefined) throw new Problem('validation_failed', `Send a ${place}: a JSON object.`)
  const errors = result.error.issues
    .slice(0, MAX_ERRORS)
    .map((issue): FieldError => ({ path: issue.path.join('.'), message: issue.message }))
  const code = result.error.issues.map(codeOf).find((each) => each !== undefined) ?? 'validation_failed'
  throw new Problem(code, `Correct the ${place}: ${errors.map(describe).join('; ')}.`, { errors })
}

function describe({ path, message }: FieldError): string {
  return path === '' ? message : `${path} ${message}`
}

function codeOf(issue: z.core.$ZodIssue): ProblemCode | undefined {
  return issue.code === 'custom' ? (issue.params?.code as ProblemCode | undefined) : undefined
}

/** The `Idempotency-Key` of a request, checked. */
export function readIdempotencyKey(incoming: IncomingMessage): string | undefined {
  const header = incoming.headers['idempotency-key']
  return header === undefined ? undefined : parse(idempotencyKey, header, 'header Idempotency-Key')
}
