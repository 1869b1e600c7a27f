'use strict'

/** Makes the engine of a store on Redis. */

const { RemoteEngine } = require('../remote/engine.js')
const { RedisRecords } = require('./records.js')

module.exports = { openRedis }

/**
 * @param client the user's client, connected or not
 * @param options as lib/options.js has read them
 * @throws {TypeError} if it is not a client of a library that is known
 */
function openRedis(state, client, options, serializer) {
  const isBinary = givesBytes(serializer)
  return new RemoteEngine(state, new RedisRecords(client, { ...options, isBinary }), options)
}

/**
 * Whether sessions are stored as bytes, not as text: the server does not say which of the two a
 * value is, and sessions are there before this process has written one.
 */
function givesBytes(serializer) {
  try {
    return typeof serializer.stringify({ cookie: {} }) !== 'string'
  } catch {
    return false
  }
}
