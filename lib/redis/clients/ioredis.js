'use strict'

/** Links through the clients of ioredis 5 and 6, and of iovalkey. */

const { RedirectedConnection } = require('./redirected-connection.js')
const { SingleLink } = require('./single.js')

module.exports = { linkClient }

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

/** A link through one client. */
function linkClient(user, handlers, { isBinary }) {
  const create = () => user.duplicate(OPTIONS)
  const library = {
    isOrdered: false,
    isSingle: false,
    keyPrefix: keyPrefixOf(user.options),
    connect: (events) => new RedirectedConnection(create, events, { isBinary }),
  }
  return new SingleLink(library, handlers)
}

function keyPrefixOf(options) {
  return String(options?.keyPrefix ?? '')
}
