'use strict'

/** Links through the clients of node-redis 5 and 6. */

const { URL } = require('node:url')
const { ClusterLink } = require('./cluster.js')
const { NodeRedisConnection } = require('./node-redis-connection.js')
const { SingleLink } = require('./single.js')
const { keyOf } = require('./topology.js')

module.exports = { linkClient, linkCluster, linkSentinel }

/** The port of a server that is named without one. */
const PORT = 6379

/** RESP's type of bulk strings. */
const BLOB_STRING = 36

/** A cache that is there makes a client hand on the invalidations. */
const PUSHES = { RESP: 3, clientSideCache: {} }

/** How long a server may be silent while the master is looked for, in milliseconds. */
const DISCOVERY_TIMEOUT = 3000

/** A link through a client that `createClient` made. */
function linkClient(user, handlers, { isBinary, isTracking }) {
  const start = () => {
    const options = connectionOptions(user.options, isBinary)
    const client = user.duplicate({ ...options, ...PUSHES })
    return { client, connected: client.connect() }
  }
  const library = {
    isOrdered: true,
    isSingle: true,
    keyPrefix: keyPrefixOf(user.options),
    connect: (events) => new NodeRedisConnection(start, events, { isTracking }),
  }
  return new SingleLink(library, handlers)
}

/** A link through a cluster that `createCluster` made. */
function linkCluster(user, handlers, { isBinary, isTracking }) {
  const { rootNodes, defaults, keyPrefix } = user._options
  const start = (address) => {
    // Not connected itself: it makes the client of one server. All of its clients share a cache.
    const cluster = user.duplicate({
      ...PUSHES,
      defaults: { ...defaults, ...connectionOptions(defaults, isBinary) },
    })
    cluster.on('error', () => {})
    const node = { ...address, address: keyOf(address), readonly: false }
    const connected = cluster.nodeClient(node)
    return { client: node.client, connected }
  }
  const library = {
    isOrdered: true,
    keyPrefix: keyPrefixOf({ keyPrefix }),
    seeds: async () => rootNodes.map(addressOfRoot),
    // The library does it itself.
    mapped: (address) => address,
    connect: (address, events) =>
      new NodeRedisConnection(() => start(address), events, { isTracking }),
  }
  return new ClusterLink(library, handlers)
}

/** A link to the master that sentinels name, through what `createSentinel` made. */
function linkSentinel(user, handlers, { isBinary, isTracking }) {
  const options = optionsOf(user)
  const start = async () => {
    const master = await masterOf(user, options)
    const client = master.duplicate({ ...connectionOptions(master.options, isBinary), ...PUSHES })
    return { client, connected: client.connect() }
  }
  const library = {
    isOrdered: true,
    isSingle: true,
    keyPrefix: keyPrefixOf(options),
    connect: (events) => new NodeRedisConnection(start, events, { isTracking }),
  }
  return new SingleLink(library, handlers)
}

/**
 * A client of the master, which is ended already. The sentinel of the library cannot be unref'd,
 * and sends commands again after a connection was lost; so it only finds the master.
 */
async function masterOf(user, { nodeClientOptions, sentinelClientOptions }) {
  const sentinel = user.duplicate({
    nodeClientOptions: brief(nodeClientOptions),
    sentinelClientOptions: brief(sentinelClientOptions),
    clientSideCache: undefined,
    masterPoolSize: 1,
    replicaPoolSize: 0,
    reserveClient: false,
    scanInterval: 0,
    maxCommandRediscovers: 0,
  })
  sentinel.on('error', () => {})
  try {
    await sentinel.connect()
    return await sentinel._execute(false, (client) => client)
  } finally {
    sentinel.destroy().catch(() => {})
  }
}

/** Options of a connection that is there for a moment only. */
function brief(options) {
  const socket = { ...options?.socket, reconnectStrategy: false, socketTimeout: DISCOVERY_TIMEOUT }
  return { ...options, socket, maintNotifications: 'disabled' }
}

/** The options of a sentinel of the library, which it hands to nobody but its duplicates. */
function optionsOf(sentinel) {
  let options
  const constructor = function (given) {
    options = given
  }
  const twin = Object.create(Object.create(sentinel, { constructor: { value: constructor } }))
  twin.duplicate()
  return options
}

/** The address of a server that the user named by a URL or the options of its socket. */
function addressOfRoot({ url, socket }) {
  if (!url) return { host: socket?.host ?? 'localhost', port: socket?.port ?? PORT }
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || PORT) }
}

/** How the options of a connection differ from `options`, those of the user. */
function connectionOptions(options, isBinary) {
  return {
    // A timeout would make an AbortSignal of every command, and would not end one that was sent.
    commandOptions: {
      timeout: undefined,
      typeMapping: isBinary ? { [BLOB_STRING]: Buffer } : undefined,
    },
    emitInvalidate: false,
    disableOfflineQueue: true,
    commandsQueueMaxLength: undefined,
    pingInterval: 0,
    maintNotifications: 'disabled',
    socket: { ...options?.socket, reconnectStrategy: false, socketTimeout: undefined },
  }
}

function keyPrefixOf(options) {
  return String(options?.keyPrefix ?? '')
}
