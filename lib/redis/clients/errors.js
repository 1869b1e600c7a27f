'use strict'

/**
 * Errors of the libraries and of the server, without what they tell of the command: its arguments
 * are sids and sessions.
 */

module.exports = { bare, lostError, offlineError, strippedOf }

/**
 * Returns `promise`. Its error is stripped before any handler that is added later sees it; this
 * costs less than another promise in between.
 */
function bare(promise) {
  promise.catch(strippedOf)
  return promise
}

/** The error itself, with neither command nor arguments. */
function strippedOf(error) {
  if (!(error instanceof Object)) return error
  // ioredis and iovalkey
  if ('command' in error) delete error.command
  // What servers say of a command they do not know ends with its first arguments.
  const { message } = error
  const end = typeof message === 'string' ? message.indexOf(ARGS) : -1
  if (end === -1) return error
  error.message = message.slice(0, end)
  if (typeof error.stack === 'string') error.stack = error.stack.replace(message, error.message)
  return error
}

const ARGS = ', with args beginning with:'

function offlineError() {
  return new Error('memorystore-rs: there is no connection to Redis')
}

function lostError() {
  return new Error('memorystore-rs: the connection to Redis was lost')
}
