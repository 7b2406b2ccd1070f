import { z } from 'zod'

const duration = z.string().regex(/^\d+(ms|s|m)$/)
const size = z.string().regex(/^\d+(kb|mb|gb)$/)

const check = z.strictObject({
  method: z.enum(['GET', 'HEAD', 'POST', 'get', 'head', 'post']).optional(),
  path: z.string().startsWith('/').optional(),
  protocol: z.enum(['http', 'https']).optional(),
  interval: duration,
  timeout: duration,
  grace_period: duration.optional(),
})

const httpService = z.strictObject({
  internal_port: z.int().min(1).max(65_535),
  force_https: z.boolean().optional(),
  auto_stop_machines: z.boolean().optional(),
  auto_start_machines: z.boolean().optional(),
  min_machines_running: z.int().nonnegative().optional(),
  processes: z.array(z.string()).optional(),
  concurrency: z
    .strictObject({
      type: z.enum(['connections', 'requests']),
      soft_limit: z.int().positive(),
      hard_limit: z.int().positive(),
    })
    .refine(({ soft_limit, hard_limit }) => soft_limit <= hard_limit)
    .optional(),
  checks: z.array(check).optional(),
})

const machine = z.strictObject({
  size: z.enum(['shared-cpu-1x', 'shared-cpu-2x', 'shared-cpu-4x', 'shared-cpu-8x', 'performance-1x']),
  memory: size.optional(),
  processes: z.array(z.string()).optional(),
})

/**
 * What may stand in a `fly.toml`, after Fly's reference (fly.io/docs/reference/configuration): the sections used here,
 * nothing of them looser than in SchemaStore's `fly.json`, and without room for a misspelt key.
 */
export const flyToml = z.strictObject({
  app: z.string().regex(/^[a-z0-9-]{1,63}$/),
  primary_region: z.string().regex(/^[a-z]{3}$/),
  kill_signal: z.enum(['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGKILL', 'SIGSTOP']),
  kill_timeout: duration,
  build: z.union([z.strictObject({ dockerfile: z.string() }), z.strictObject({ image: z.string() })]),
  deploy: z.strictObject({
    strategy: z.enum(['canary', 'rolling', 'bluegreen', 'immediate']),
    max_unavailable: z.number().positive().optional(),
  }),
  env: z.record(z.string(), z.string()).optional(),
  processes: z.record(z.string(), z.string()).optional(),
  files: z
    .array(z.strictObject({ guest_path: z.string().startsWith('/'), local_path: z.string() }))
    .optional(),
  http_service: httpService.optional(),
  checks: z
    .record(
      z.string(),
      z.strictObject({ ...check.shape, type: z.enum(['http', 'tcp']), port: z.int().min(1).max(65_535) }),
    )
    .optional(),
  vm: z.array(machine).optional(),
})
