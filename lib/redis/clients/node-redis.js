'use strict'

/** Links through the clients of node-redis 5 and 6. */

const { NodeRedisConnection } = require('./node-redis-connection.js')
const { SingleLink } = require('./single.js')

module.exports = { linkClient }

/** RESP's type of bulk strings. */
const BLOB_STRING = 36

/** A link through a client that `createClient` made. */
function linkClient(user, handlers, { isBinary }) {
  const start = () => {
    // One that is there makes the client hand on the invalidations.
    const cache = { clientSideCache: {}, emitInvalidate: false }
    const client = user.duplicate({ ...connectionOptions(user.options, isBinary), ...cache })
    return { client, connected: client.connect() }
  }
  const library = {
    isOrdered: true,
    isSingle: true,
    keyPrefix: keyPrefixOf(user.options),
    connect: (events) => new NodeRedisConnection(start, events),
  }
  return new SingleLink(library, handlers)
}

/** How the options of a connection differ from `options`, those of the user. */
function connectionOptions(options, isBinary) {
  return {
    RESP: 3,
    // A timeout would make an AbortSignal of every command, and would not end one that was sent.
    commandOptions: {
      timeout: undefined,
      typeMapping: isBinary ? { [BLOB_STRING]: Buffer } : undefined,
    },
    disableOfflineQueue: true,
    commandsQueueMaxLength: undefined,
    pingInterval: 0,
    maintNotifications: 'disabled',
    socket: { ...options?.socket, reconnectStrategy: false },
  }
}

function keyPrefixOf(options) {
  return String(options?.keyPrefix ?? '')
}
