import { z } from 'zod'
import { PROBLEMS } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import type { Endpoint } from './endpoint.ts'
import { PROBLEM_TYPE } from './problem-answer.ts'
import type { Routes } from './routes.ts'

const SIGNED_IN = [{ bearer: [] }, { cookie: [] }]
const ADMIN = [{ admin: [] }]
const ADMIN_PROBLEMS = ['unauthenticated', 'token_invalid'] as const
const SIGNED_IN_PROBLEMS = ['unauthenticated', 'token_invalid', 'token_expired', 'signed_out'] as const
const COMPONENTS = '#/components/schemas/'

type JsonSchema = z.core.JSONSchema.BaseSchema

/** The OpenAPI 3.1 document (its schemas are JSON Schema 2020-12), made of the same endpoints that the router serves. */
export function openApiDocument(routes: Routes, version: string): unknown {
  const components = new Components()
  const paths: Record<string, Record<string, unknown>> = { '/v1/events': eventsOperations(components) }
  for (const [method, path, endpoint] of routes) {
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(method, endpoint, components) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Longwave',
      version,
      description: 'Chat over plain HTTP. Errors are RFC 9457 problems with a stable `code`.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: components.toJSON(),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        cookie: { type: 'apiKey', in: 'cookie', name: 'longwave_session' },
        admin: {
          type: 'http',
          scheme: 'bearer',
          description:
            'The ADMIN_TOKEN that the server was started with; without one these paths are not there.',
        },
      },
    },
  }
}

/** Named schemas, each written once and referred to. */
class Components {
  readonly #registry = z.registry<{ id: string }>()

  constructor() {
    const { user, session, message, conversation, member, logEvent, poll, problem } = schemas
    const named = {
      User: user,
      Session: session,
      Message: message,
      Conversation: conversation,
      Member: member,
    }
    const events = { Event: logEvent, Poll: poll }
    for (const [id, schema] of Object.entries({ ...named, ...events, Problem: problem })) {
      this.#registry.add(schema, { id })
    }
  }

  /** A reference to a named schema, or the schema itself with references inside. */
  of(schema: z.ZodType): JsonSchema {
    const id = this.#registry.get(schema)?.id
    if (id !== undefined) return { $ref: `${COMPONENTS}${id}` }
    const {
      $schema: _,
      $defs: __,
      ...json
    } = z.toJSONSchema(schema, { ...this.#options, metadata: this.#registry })
    return JSON.parse(JSON.stringify(json).replaceAll('#/$defs/', COMPONENTS))
  }

  toJSON(): Record<string, JsonSchema> {
    const uri = (id: string) => `${COMPONENTS}${id}`
    const all = z.toJSONSchema(this.#registry, { ...this.#options, uri }).schemas
    return Object.fromEntries(Object.entries(all).map(([id, { $schema: _, $id: __, ...json }]) => [id, json]))
  }

  get #options() {
    return { io: 'input', unrepresentable: 'any' } as const
  }
}

function operation(method: string, endpoint: Endpoint, components: Components): unknown {
  const { summary, tag, params, query, body, answers, creates, signedIn, admin } = endpoint
  return {
    summary,
    tags: [tag],
    security: admin ? ADMIN : signedIn ? SIGNED_IN : [],
    parameters: [
      ...parameters('path', params, components),
      ...parameters('query', query, components),
      ...(creates ? parameters('header', IDEMPOTENCY_HEADER, components) : []),
    ],
    ...(body && {
      requestBody: { required: !body.safeParse(undefined).success, content: json(body, components) },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, { description, schema }]) => [
          status,
          { description, ...(schema && { content: json(schema, components) }) },
        ]),
      ),
      ...problemAnswers(method, endpoint, components),
    },
  }
}

const IDEMPOTENCY_HEADER = z.object({ 'Idempotency-Key': schemas.idempotencyKey.optional() })
const LAST_EVENT_HEADER = z.object({ 'Last-Event-ID': z.string().optional() })

function json(schema: z.ZodType, components: Components, type = 'application/json') {
  return { [type]: { schema: components.of(schema) } }
}

function parameters(
  place: 'path' | 'query' | 'header',
  schema: z.ZodObject | undefined,
  components: Components,
) {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => ({
    name,
    in: place,
    required: place === 'path' || !field.safeParse(undefined).success,
    schema: components.of(field as z.ZodType),
  }))
}

function problemAnswers(method: string, endpoint: Endpoint, components: Components) {
  const { problems = [], signedIn, admin, creates, query, body } = endpoint
  const codes = [
    ...problems,
    ...(signedIn ? SIGNED_IN_PROBLEMS : []),
    ...(admin ? ADMIN_PROBLEMS : []),
    ...(signedIn && method !== 'GET' ? (['origin_refused', 'rate_limited'] as const) : []),
    ...(creates ? (['validation_failed', 'idempotency_mismatch', 'request_in_progress'] as const) : []),
    ...(query ? (['validation_failed'] as const) : []),
    ...(body
      ? (['malformed_json', 'body_too_large', 'unsupported_media_type', 'validation_failed'] as const)
      : []),
    'unavailable' as const,
  ]
  const byStatus = Map.groupBy(new Set(codes), (code) => PROBLEMS[code][0])
  return Object.fromEntries([...byStatus].map(([status, each]) => [status, problemAnswer(each, components)]))
}

function problemAnswer(codes: readonly string[], components: Components) {
  const description = `Problem: ${codes.map((code) => `\`${code}\``).join(', ')}`
  return { description, content: json(schemas.problem, components, PROBLEM_TYPE) }
}

/** `/v1/events` is no Endpoint, as it streams; its fields are the same in query and body. */
function eventsOperations(components: Components) {
  const common = {
    tags: ['Inbox'],
    security: SIGNED_IN,
    responses: {
      200: {
        description: 'The inbox from the cursor on: a stream (`as=sse`, `as=octet`) or a poll.',
        content: {
          ...json(schemas.poll, components),
          ...json(z.string(), components, 'text/event-stream'),
          ...json(z.string(), components, 'application/octet-stream'),
        },
      },
      400: problemAnswer(['malformed_cursor', 'malformed_json'], components),
      401: problemAnswer([...SIGNED_IN_PROBLEMS, 'ticket_expired', 'ticket_invalid'], components),
      422: problemAnswer(['validation_failed'], components),
      503: problemAnswer(['unavailable'], components),
    },
  }
  const headers = parameters('header', LAST_EVENT_HEADER, components)
  return {
    get: {
      ...common,
      summary: 'Read my inbox: stream, long-poll or poll',
      parameters: [...parameters('query', schemas.eventsQuery, components), ...headers],
    },
    post: {
      ...common,
      summary: 'The same, for proxies that buffer, merge or log GET',
      parameters: headers,
      requestBody: { required: false, content: json(schemas.eventsQuery, components) },
    },
  }
}
