'use strict'

/** Makes the engine of a store on Redis. */

const { RemoteEngine } = require('../remote/engine.js')
const { Form } = require('./form.js')
const { RedisRecords } = require('./records.js')

module.exports = { openRedis }

/**
 * @param client the user's client, connected or not
 * @param options as lib/options.js has read them
 * @throws {TypeError} if it is not a client of a library that is known
 */
function openRedis(state, client, options, serializer) {
  const { user, lifetime } = state.options
  const isIndexed = user !== undefined || lifetime !== undefined
  const records = new RedisRecords(client, { ...options, isIndexed }, new Form(serializer))
  return new RemoteEngine(state, records, options)
}
