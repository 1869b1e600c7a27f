'use strict'

/** Which sessions `dispose` is called for. */

const { toSerialized } = require('../body.js')

/** Whether `dispose` is called for what is removed. */
function disposesOf({ dispose }) {
  return Boolean(dispose)
}

/** Whether `dispose` is called for what a `set` or `touch` overwrites. */
function disposesOnSet({ dispose, noDisposeOnSet }) {
  return Boolean(dispose) && !noDisposeOnSet
}

/** @param body what was removed or overwritten; undefined if nothing was, or nobody asks */
function disposeOf({ dispose }, key, body) {
  if (body !== undefined) dispose(key, toSerialized(body))
}

/**
 * Tells of sessions that are gone because another one was written.
 *
 * @param {Gone} gone what was `replaced`, if that is to be disposed of, and what was `ended`, sids
 *   and bodies
 */
function disposeOfAll({ options, watches }, { key, replaced, ended }) {
  for (const [sid] of ended) watches.ended(sid)
  for (const [sid, body] of ended) disposeOf(options, sid, body)
  disposeOf(options, key, replaced)
}

module.exports = { disposeOf, disposeOfAll, disposesOf, disposesOnSet }
