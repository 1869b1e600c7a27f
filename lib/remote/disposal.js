'use strict'

/** Which sessions `dispose` is called for. */

const { toSerialized } = require('../body.js')
const { disposeOfEach } = require('../dispose.js')

/** Whether `dispose` is called for what is removed. */
function disposesOf({ dispose }) {
  return Boolean(dispose)
}

/** Whether `dispose` is called for what a `set` or `touch` overwrites. */
function disposesOnSet({ dispose, noDisposeOnSet }) {
  return Boolean(dispose) && !noDisposeOnSet
}

/** @param body what was removed or overwritten; undefined if nothing was, or nobody asks */
function disposeOf({ dispose }, key, body, reason) {
  if (body !== undefined) dispose(key, toSerialized(body), reason)
}

/**
 * What is gone because a session was written: what that has `replaced`, if it is to be disposed of,
 * and what was `ended` because its user may not have so many, sids and bodies.
 *
 * @typedef {{key: string, replaced: string | Buffer | undefined, ended: [string, any][]}} Gone
 */

/** Tells of what is gone. If `dispose` throws, it is called for all others before that is thrown. */
function disposeOfAll({ dispose, watches }, { key, replaced, ended }) {
  for (const [sid] of ended) watches.ended(sid)
  const gone = ended.flatMap(([sid, body]) => [sid, body, 'limit'])
  disposeOfEach(dispose, [...gone, key, replaced, 'replaced'])
}

module.exports = { disposeOf, disposeOfAll, disposesOf, disposesOnSet }
