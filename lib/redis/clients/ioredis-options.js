'use strict'

/** How the clients of ioredis and iovalkey that a link duplicates differ from the user's. */

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

function keyPrefixOf(options) {
  return String(options?.keyPrefix ?? '')
}

module.exports = { keyPrefixOf, OPTIONS }
