'use strict'

/**
 * The clock by which engines behind a network measure: it never jumps, and fake timers do not
 * affect it. Milliseconds from some start.
 */

const { now } = require('../real.js')

module.exports = { monotonic: now }
