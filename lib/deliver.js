'use strict'

/**
 * Delivers results: to the callback, always in a later turn of the event loop, or by a promise if
 * there is no callback. A rejected promise need not be awaited.
 */

// Captured at load time, so fake timers do not affect delivery. Besides, Jest's jsdom environment
// has no global setImmediate.
const { setImmediate } = require('node:timers')
const { ofThisRealm } = require('./errors.js')

module.exports = { done, fail, failEarly, give, giveNothing, later }

/** Delivers `value`. */
function give(fn, value) {
  if (typeof fn !== 'function') return promiseOf(value)
  setImmediate(fn, null, value)
}

/** Delivers success without a value. */
function done(fn) {
  if (typeof fn !== 'function') return promiseOf(undefined)
  setImmediate(fn, null)
}

/** Delivers that there is no session: as in memorystore, the callback gets no arguments. */
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
 * Delivers an error that memorystore throws. It goes to the callback, because an error thrown to
 * express-session leaves the request without an answer. Without a callback it is thrown.
 */
function failEarly(fn, err) {
  if (typeof fn !== 'function') throw err
  return fail(fn, err)
}

/** Delivers the result of `promise`. */
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
