'use strict'

/**
 * Merges what two requests made of one session: a three-way merge by top-level key.
 */

const { isDeepStrictEqual } = require('node:util')

/**
 * Returns the session to write where this request read `base` and makes it `mine`, and `stored`
 * is what another one has made of it meanwhile. A key that one side changed, added or deleted
 * has that side's value; a key that both did has mine, and so has the cookie.
 *
 * Undefined where one of the three is no plain object, so that there are no keys to go by.
 */
function merge(base, stored, mine) {
  if (![base, stored, mine].every(isPlainObject)) return undefined

  const merged = {}
  const isMine = (key) => key === 'cookie' || !isSame(base, mine, key)
  for (const key of new Set([...Object.keys(mine), ...Object.keys(stored)])) {
    const from = isMine(key) ? mine : stored
    if (Object.hasOwn(from, key)) setOwn(merged, key, from[key])
  }
  return merged
}

/** Whether both have the key with equal values, or neither has it. */
function isSame(one, other, key) {
  if (!Object.hasOwn(one, key) || !Object.hasOwn(other, key)) {
    return Object.hasOwn(one, key) === Object.hasOwn(other, key)
  }
  return isDeepStrictEqual(one[key], other[key])
}

/** Also for `__proto__`, which an assignment would take for the prototype. */
function setOwn(object, key, value) {
  Object.defineProperty(object, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}

function isPlainObject(value) {
  if (value === null || typeof value !== 'object') return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

module.exports = { merge }
