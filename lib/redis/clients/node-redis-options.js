'use strict'

/** How the clients of node-redis that a link duplicates differ from the user's. */

const TRACKING = ['CLIENT', 'TRACKING', 'ON']

/** RESP's type of bulk strings. */
const BLOB_STRING = 36

/** The options of one connection. `options` are those of the user's client. */
function nodeOptions(options, isBinary) {
  return {
    RESP: 3,
    // One that is there makes the client hand on the invalidations; see `listen`.
    clientSideCache: {},
    emitInvalidate: false,
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

/**
 * Makes a client-side cache of node-redis hand on what it is told, and keep nothing. It tracks
 * nothing by itself either: the handshake would fail where the server refuses that.
 */
function listen(cache, invalidated) {
  cache.trackingOn = () => ['PING']
  cache.invalidate = (key) => invalidated(key === null ? null : [key.toString()])
  for (const method of ['onError', 'onClose', 'clear']) cache[method] = () => {}
}

function keyPrefixOf(options) {
  return String(options?.keyPrefix ?? '')
}

module.exports = { keyPrefixOf, listen, nodeOptions, TRACKING }
