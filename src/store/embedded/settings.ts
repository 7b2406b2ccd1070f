const megabyte = 1024 * 1024
/** Postgres keeps these for its superuser. */
const RESERVED_CONNECTIONS = 3

/** What the settings depend on. */
export type SettingsInput = {
  port: number
  /** Folder of the unix socket. */
  socketDir: string
  /** Bytes that this machine, or the container's limit, grants. */
  memory: number
  /** How many clients may be connected at a time. */
  connections: number
}

/** The role and the database that the gateway uses; the role owns the database and is no superuser. */
export const gatewayRole = 'longwave'

/** `pg_hba.conf`: the gateway's role by password from this machine, nobody else. */
export const accessRules = `local all ${gatewayRole} scram-sha-256
host all ${gatewayRole} 127.0.0.1/32 scram-sha-256
`

/** The settings file: durable, sized for a small machine that is always on and writes many short transactions. */
export function renderSettings(input: SettingsInput): string {
  return `${Object.entries(settings(input))
    .map(([name, value]) => `${name} = ${quote(value)}`)
    .join('\n')}\n`
}

function settings({ port, socketDir, memory, connections }: SettingsInput): Record<string, string | number> {
  const sharedBuffers = Math.max(16, Math.min(256, Math.floor(memory / 8 / megabyte)))
  return {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: `"${socketDir}"`,
    unix_socket_permissions: '0700',
    max_connections: connections + RESERVED_CONNECTIONS,
    password_encryption: 'scram-sha-256',
    client_connection_check_interval: '1s', // a killed gateway's statements let go of their locks

    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    wal_compression: 'on',
    wal_buffers: '16MB',
    min_wal_size: '256MB',
    max_wal_size: '4GB',
    checkpoint_timeout: '15min',
    checkpoint_completion_target: 0.9,

    shared_buffers: `${sharedBuffers}MB`,
    effective_cache_size: `${sharedBuffers * 3}MB`,
    work_mem: '8MB',
    maintenance_work_mem: `${Math.max(16, Math.floor(sharedBuffers / 4))}MB`,
    // Files: neither the small /dev/shm of a container nor logind's clean-up at log-out can break them.
    dynamic_shared_memory_type: 'mmap',
    max_parallel_workers_per_gather: 0,
    max_parallel_maintenance_workers: 0,
    io_method: 'sync',
    random_page_cost: 1.1,
    jit: 'off',

    autovacuum_naptime: '15s',
    autovacuum_vacuum_scale_factor: 0.05,
    autovacuum_vacuum_insert_scale_factor: 0.1,
    autovacuum_analyze_scale_factor: 0.05,
    autovacuum_vacuum_cost_limit: 1000,

    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    log_autovacuum_min_duration: -1,
    log_min_error_statement: 'panic', // texts of people do not belong into a log
  }
}

const quote = (value: string | number) =>
  typeof value === 'number' ? value : `'${value.replaceAll("'", "''")}'`
