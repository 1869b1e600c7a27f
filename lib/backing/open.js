'use strict'

/** Makes the engine of a store whose sessions another express-session store keeps. */

const { RemoteEngine } = require('../remote/engine.js')
const { BackingRecords } = require('./records.js')

module.exports = { openBacking }

/**
 * @param backing the other store; it stays the caller's, and is not closed
 * @param options as lib/options.js has read them
 */
function openBacking(state, backing, options, serializer) {
  return new RemoteEngine(state, new BackingRecords(backing, options, serializer), options)
}
