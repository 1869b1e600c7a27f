'use strict'

/**
 * The client libraries that a store on Redis works with. Each makes clients of a test server; see
 * redis-servers.js. They are not connected.
 */

const { openLink } = require('../../lib/redis/clients/index.js')
const { HOST } = require('./ports.js')
const { until } = require('./until.js')

/** A machine that is busy may take long to connect. */
const PATIENT = { connectTimeout: 600_000 }

const LIBRARIES = [
  nodeRedis('node-redis 6', require('redis')),
  nodeRedis('node-redis 5', require('redis5')),
  ioredis('ioredis 6', require('ioredis')),
  ioredis('ioredis 5', require('ioredis5')),
  ioredis('iovalkey', require('iovalkey')),
]

function nodeRedis(name, { createClient, createCluster, createSentinel }) {
  return {
    name,
    isOrdered: true,
    rules: '',
    client: ({ url, ca }, options) =>
      quiet(createClient({ url, socket: { ...PATIENT, ...(ca && { ca }) }, ...options })),
    cluster: ({ urls }, options) =>
      quiet(
        createCluster({
          rootNodes: urls.map((url) => ({ url })),
          defaults: { socket: PATIENT },
          ...options,
        }),
      ),
    // Those of 5 cannot be duplicated.
    sentinel:
      name === 'node-redis 6'
        ? ({ name, port }, options) =>
            quiet(createSentinel({ name, sentinelRootNodes: [{ host: HOST, port }], ...options }))
        : undefined,
    use: async (client) => {
      await client.connect()
      return client.ping()
    },
    // 5 refuses to end one that was never connected.
    end: (client) => client.isOpen && client.destroy(),
  }
}

function ioredis(name, library) {
  const { Cluster, Redis } = library
  const lazy = { lazyConnect: true, ...PATIENT }
  return {
    name,
    isOrdered: false,
    // It receives invalidations as messages.
    rules: ' +subscribe &__redis__:invalidate',
    client: ({ url, ca }, options) =>
      quiet(new Redis(url, { ...lazy, ...(ca && { tls: { ca } }), ...options })),
    cluster: ({ urls }, options) =>
      quiet(new Cluster(urls, { lazyConnect: true, redisOptions: PATIENT, ...options })),
    sentinel: ({ name, port }, options) =>
      quiet(new Redis({ ...lazy, name, sentinels: [{ host: HOST, port }], ...options })),
    use: (client) => client.ping(),
    end: (client) => client.disconnect(),
  }
}

/** Tests look at the errors of links, not at those of the clients that they duplicate. */
function quiet(client) {
  return client.on('error', () => {})
}

/** Opens a link, and notes what it calls. Resolves when it is ready. */
async function linked(t, client, { isBinary = false, isTracking } = {}) {
  // A link keeps no process alive, not even while a command has no answer.
  const awake = setInterval(() => {}, 1 << 30)
  const sleep = () => clearInterval(awake)
  const notes = { keys: [], flushes: 0, changes: 0, failures: [] }
  const link = openLink(
    client,
    {
      invalidated: (keys) => (keys === null ? notes.flushes++ : notes.keys.push(...keys)),
      changed: () => notes.changes++,
      failed: (error) => notes.failures.push(error),
    },
    { isBinary, isTracking },
  )
  t.teardown(() => {
    sleep()
    link.close()
  })
  link.connect()
  await until(() => link.isReady)
  return { link, notes, sleep }
}

module.exports = { LIBRARIES, linked }
