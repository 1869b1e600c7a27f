'use strict'

/**
 * Runs a spec once more, with stores whose sessions another store keeps: every store that it opens
 * gets a `backing` of its own, unless it has a `name` or a `path`.
 */

const clock = require('../../lib/remote/clock.js')

// The clock by which the store measures goes with the date that a test fakes. It has to be replaced
// before the package is loaded.
let latest = 0
let reads = 0
clock.monotonic = () => {
  const now = Date.now()
  reads = now === latest ? reads + 1 : 0
  latest = now
  // No two moments are the same.
  return now - START + reads * 1e-4
}

/** So that fractions of milliseconds have room in a number. */
const START = Date.now()

const { SlowStore } = require('./backings.js')
const { runAgain } = require('./run-again.js')

/** Runs the spec `file`. `different` and `skipped` are those of `runAgain`. */
function runOnBacking(file, marks) {
  const adapt = (options) => {
    if (options.name !== undefined || options.path !== undefined) return undefined
    // Every touch is done, as by the other kinds of store.
    return { touchAfter: 0, ...options, backing: new SlowStore() }
  }
  runAgain(file, adapt, { ...marks, hidden: ['backing', 'touchAfter'] })
}

module.exports = { runOnBacking }
