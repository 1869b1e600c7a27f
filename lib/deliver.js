'use strict'

/**
 * Delivers results: to the callback, always in a later turn of the event loop, or by a promise
 * where there is none. A promise that is rejected need not be awaited.
 */

// Those that nobody can fake: results are delivered whatever a faked clock does. And Jest's jsdom
// environment has no global setImmediate.
const { setImmediate } = require('node:timers')
const { ofThisRealm } = require('./errors.js')

module.exports = { done, fail, failEarly, give, giveNothing, later }

/** Delivers `value`. */
function give(fn, value) {
  if (typeof fn !== 'function') return promiseOf(value)
  setImmediate(fn, null, value)
}

/** Delivers that it is done. */
function done(fn) {
  if (typeof fn !== 'function') return promiseOf(undefined)
  setImmediate(fn, null)
}

/** Delivers that nothing was found: as in memorystore, the callback gets no arguments. */
function giveNothing(fn) {
  if (typeof fn !== 'function') return promiseOf(undefined)
  setImmediate(fn)
}

function promiseOf(value) {
  return new Promise((resolve) => setImmediate(resolve, value))
}

/** Delivers an error. */
function fail(fn, err, ...args) {
  const error = ofThisRealm(err)
  if (typeof fn === 'function') {
    setImmediate(fn, error, ...args)
    return
  }
  const promise = new Promise((_resolve, reject) => setImmediate(reject, error))
  promise.catch(() => {})
  return promise
}

/**
 * Delivers an error that memorystore throws: to the callback, for what express-session's own
 * callers are thrown leaves the request without an answer; where there is none it is thrown.
 */
function failEarly(fn, err) {
  if (typeof fn !== 'function') throw err
  return fail(fn, err)
}

/** Delivers what `promise` comes to. */
function later(fn, promise) {
  if (typeof fn !== 'function') {
    promise.catch(() => {})
    return promise
  }
  // Outside of the promise, so that what the callback throws is an uncaught exception.
  promise.then(
    (value) => setImmediate(fn, null, ...(value === undefined ? [] : [value])),
    (err) => setImmediate(fn, err),
  )
}
