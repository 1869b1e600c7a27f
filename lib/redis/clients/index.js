'use strict'

/**
 * The libraries through which a store reaches Redis: which one the user's client is of.
 *
 * A link duplicates that client. It never uses, changes, connects or closes it. The client is
 * recognised by its methods: no library is loaded here, so that none has to be installed.
 */

const { kindOf } = require('../../options.js')
const ioredis = require('./ioredis.js')
const nodeRedis = require('./node-redis.js')

/** For each kind of client, what links it, and the methods that only such a client has. */
const KINDS = [
  [nodeRedis.linkClient, ['sendCommand', 'duplicate', 'unref', 'withTypeMapping', 'createPool']],
  [nodeRedis.linkCluster, ['sendCommand', 'duplicate', 'nodeClient', 'withTypeMapping']],
  [nodeRedis.linkSentinel, ['sendCommand', 'duplicate', 'getMasterNode', 'withTypeMapping']],
  [ioredis.linkCluster, ['call', 'callBuffer', 'duplicate', 'nodes', 'refreshSlotsCache']],
  [ioredis.linkClient, ['call', 'callBuffer', 'duplicate', 'defineCommand', 'scanStream']],
]

/**
 * @param client the user's client, connected or not
 * @param handlers `invalidated(keys)`, `changed()` and `failed(error)`
 * @param {object} options
 * @param {boolean} options.isBinary whether replies are Buffers
 * @param {boolean} [options.isTracking] whether to track what is read at all
 * @throws {TypeError} if it is not a client of a library that is known
 */
function openLink(client, handlers, { isBinary, isTracking = true }) {
  const link = KINDS.find(([, methods]) => methods.every((name) => isMethod(client, name)))?.[0]
  if (link === undefined) throw clientError(client)
  return link(client, handlers, { isBinary, isTracking })
}

function isMethod(client, name) {
  return typeof client === 'object' && client !== null && typeof client[name] === 'function'
}

function clientError(client) {
  const error = new TypeError(
    `memorystore-rs: the option \`redis\` is ${kindOf(client)}; it has to be a client of node-redis 5 or 6 (createClient or createCluster; createSentinel of 6), ioredis 5 or 6, or iovalkey: new MemoryStore({ redis: createClient() })`,
  )
  error.code = 'ERR_INVALID_ARG_TYPE'
  return error
}

module.exports = { openLink }
