'use strict'

/**
 * Timers and a clock that fake timers do not affect: captured when the package is loaded, because
 * the engines for `redis` and `backing` are loaded with the first store that needs them. Besides,
 * Jest's jsdom environment has no global setImmediate.
 */

const { performance } = require('node:perf_hooks')
const { nextTick } = require('node:process')
const timers = require('node:timers')

module.exports = {
  clearInterval: timers.clearInterval,
  clearTimeout: timers.clearTimeout,
  nextTick,
  now: performance.now.bind(performance),
  setImmediate: timers.setImmediate,
  setInterval: timers.setInterval,
  setTimeout: timers.setTimeout,
}
