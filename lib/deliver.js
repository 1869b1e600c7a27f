'use strict'

/**
 * Delivers results: to the callback, never before the call has returned, or by a promise if there is
 * no callback. A rejected promise need not be awaited.
 *
 * What is known at once is delivered in a later turn of the event loop, so that calls in a row let
 * other work through. What had to be waited for is delivered right away: another turn would cost as
 * much as the rest of a short call.
 */

const { nextTick, setImmediate } = require('./real.js')
const { ofThisRealm } = require('./errors.js')

module.exports = { done, fail, failEarly, give, giveNothing, later, soon }

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
    (value) => (value === undefined ? nextTick(fn, null) : nextTick(fn, null, value)),
    (err) => nextTick(fn, err),
  )
}

/** As done, without another turn of the event loop. */
function soon(fn) {
  if (typeof fn !== 'function') return Promise.resolve()
  nextTick(fn, null)
}
