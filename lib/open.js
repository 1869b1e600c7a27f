'use strict'

/**
 * Makes the engine that the options of a store ask for. The engines for `redis` and `backing` are
 * loaded with the first store that needs them: they take longer to load than all the rest.
 */

const { NativeEngine } = require('./native/engine.js')

module.exports = { openEngine }

/**
 * @param read what lib/options.js made of the options
 * @param store the object that gets the methods of the native store, if there is one
 */
function openEngine(state, store, { values, native, syncPeriod, redis, backing }, serializer) {
  if (redis) {
    const { openRedis } = require('./redis/open.js')
    return openRedis(state, values.redis, redis, serializer)
  }
  if (backing) {
    const { openBacking } = require('./backing/open.js')
    return openBacking(state, values.backing, backing, serializer)
  }
  return new NativeEngine(state, store, native, syncPeriod)
}
