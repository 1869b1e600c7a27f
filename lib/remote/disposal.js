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

/** @param {[string, string | Buffer | undefined][]} ended sids and bodies of what was removed */
function disposeOfAll(options, ended) {
  for (const [sid, body] of ended) disposeOf(options, sid, body)
}

module.exports = { disposeOf, disposeOfAll, disposesOf, disposesOnSet }
