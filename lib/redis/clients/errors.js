'use strict'

/**
 * Errors of the libraries and of the server, without what they tell of the command: its arguments
 * are sids and sessions.
 */

module.exports = { lostError, offlineError, silentError, strippedOf }

/** Where such a message begins to tell what was sent, or what was answered. */
const TELLS = [', with args beginning with:', ' Last reply:']

/** The error itself, with neither command nor arguments. */
function strippedOf(error) {
  if (!(error instanceof Object)) return error
  // ioredis and iovalkey
  if ('command' in error) delete error.command
  const { message } = error
  if (typeof message !== 'string') return error
  for (const tell of TELLS) {
    const end = message.indexOf(tell)
    if (end !== -1) shorten(error, message.slice(0, end))
  }
  return error
}

function shorten(error, message) {
  // The stack repeats the message, which may have several lines.
  if (typeof error.stack === 'string')
    error.stack = error.stack.replace(error.message, () => message)
  error.message = message
}

function offlineError() {
  return new Error('memorystore-rs: there is no connection to Redis')
}

function lostError() {
  return new Error('memorystore-rs: the connection to Redis was lost')
}

/** A server that is stopped accepts connections, but never answers the handshake. */
function silentError() {
  return new Error('memorystore-rs: Redis does not answer a new connection')
}
