'use strict'

/**
 * Runs a spec once more, with stores whose sessions another store keeps: every store that it opens
 * gets a `backing` of its own, unless it has a `name` or a `path`.
 */

require('./dated-clock.js')

const { SlowStore } = require('./backings.js')
const { runAgain } = require('./run-again.js')

/** In milliseconds. */
const PATIENCE = 600_000

/** Runs the spec `file`. `different` and `skipped` are those of `runAgain`. */
function runOnBacking(file, marks) {
  const adapt = (options) => {
    if (options.name !== undefined || options.path !== undefined) return undefined
    // Every touch is done, as by the other kinds of store; and the machine may be busy.
    return { touchAfter: 0, timeout: PATIENCE, ...options, backing: new SlowStore() }
  }
  runAgain(file, adapt, { ...marks, hidden: ['backing', 'touchAfter', 'timeout'] })
}

module.exports = { runOnBacking }
