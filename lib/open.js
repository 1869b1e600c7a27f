'use strict'

/** Makes the engine that the options of a store ask for. */

const { openBacking } = require('./backing/open.js')
const { NativeEngine } = require('./native/engine.js')
const { openRedis } = require('./redis/open.js')

module.exports = { openEngine }

/**
 * @param read what lib/options.js made of the options
 * @param store the object that gets the methods of the native store, if there is one
 */
function openEngine(state, store, { values, native, syncPeriod, redis, backing }, serializer) {
  if (redis) return openRedis(state, values.redis, redis, serializer)
  if (backing) return openBacking(state, values.backing, backing, serializer)
  return new NativeEngine(state, store, native, syncPeriod)
}
