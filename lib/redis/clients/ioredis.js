'use strict'

/** Links through the clients of ioredis 5 and 6, and of iovalkey. */

const { setImmediate } = require('../../real.js')
const { ClusterLink } = require('./cluster.js')
const { masterOf, natMapped } = require('./ioredis-sentinels.js')
const { RedirectedConnection } = require('./redirected-connection.js')
const { SingleLink } = require('./single.js')

module.exports = { linkClient, linkCluster }

/** How the options of a connection differ from the user's. */
const OPTIONS = {
  // Invalidations go to a connection of RESP2: of RESP3's pushes, ioredis drops all but messages.
  protocol: 2,
  replyMapping: 'legacy',
  stringNumbers: false,
  keyPrefix: '',
  lazyConnect: true,
  monitor: false,
  readOnly: false,
  scripts: undefined,
  himportFieldsets: undefined,
  enableAutoPipelining: false,
  showFriendlyErrorStack: false,
  // Nothing waits for a connection, and nothing is sent twice.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  retryStrategy: null,
  reconnectOnError: null,
  // The ready check needs the right to call INFO, and warns on the console without it.
  enableReadyCheck: false,
  commandTimeout: undefined,
  blockingTimeout: undefined,
  socketTimeout: undefined,
}

/** The options of a cluster that is connected for its seeds only. */
const SEEDING = {
  lazyConnect: true,
  enableReadyCheck: false,
  enableOfflineQueue: false,
  clusterRetryStrategy: null,
  clusterNodeRetryStrategy: null,
  // How long the connections that it opens meanwhile may stay, in milliseconds.
  slotsRefreshTimeout: 100,
  slotsRefreshInterval: undefined,
  shardedSubscribers: false,
  scripts: undefined,
  himportFieldsets: undefined,
}

/** A link through one client, which may find its server by sentinels. */
function linkClient(user, handlers, { isBinary, isTracking }) {
  const create = (place) => user.duplicate({ ...OPTIONS, ...place })
  const locate = async () => (user.options.sentinels ? masterOf(user, OPTIONS) : {})
  const library = {
    isOrdered: false,
    isSingle: !isTracking,
    keyPrefix: keyPrefixOf(user.options),
    connect: (events) => new RedirectedConnection({ create, locate, isBinary, isTracking }, events),
  }
  return new SingleLink(library, handlers)
}

/** A link through a cluster. */
function linkCluster(user, handlers, { isBinary, isTracking }) {
  /** A client of the library, of which the others are duplicates. It is there after `seeds`. */
  let template
  const create = (address) => template.duplicate({ ...OPTIONS, ...address })
  const seeds = async () => {
    const clients = await seedsOf(user)
    template = clients[0]
    return clients.map(({ options: { host, port } }) => ({ host, port }))
  }
  const library = {
    isOrdered: false,
    keyPrefix: keyPrefixOf(user.options),
    seeds,
    mapped: (address) => natMapped(user.options.natMap, address),
    connect: (address, events) =>
      new RedirectedConnection(
        { create, locate: async () => address, isBinary, isTracking },
        events,
      ),
  }
  return new ClusterLink(library, handlers)
}

/**
 * Clients, not connected, for the servers that the user named, after the library has resolved
 * their names. It makes them when a cluster begins to connect, which is then ended.
 */
async function seedsOf(user) {
  const cluster = user.duplicate([], {
    ...SEEDING,
    redisOptions: { ...OPTIONS, disconnectTimeout: SEEDING.slotsRefreshTimeout },
  })
  const clients = []
  try {
    await new Promise((resolve, reject) => {
      cluster.on('error', () => {})
      cluster.on('+node', (client) => {
        clients.push(client)
        // They all come in the same turn.
        setImmediate(resolve)
      })
      cluster.connect().catch(reject)
    })
    return clients
  } finally {
    cluster.disconnect()
  }
}

function keyPrefixOf(options) {
  return String(options?.keyPrefix ?? '')
}
