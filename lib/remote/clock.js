'use strict'

/**
 * The clock by which engines behind a network measure: it never jumps, and fake timers do not
 * affect it. Milliseconds from some start.
 */

const { performance } = require('node:perf_hooks')

module.exports = { monotonic: performance.now.bind(performance) }
