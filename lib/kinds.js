'use strict'

/** Names values for messages, without what they contain. */

const { isDate, isPromise } = require('node:util/types')

module.exports = { describe, kindOf }

/** A number as it is, anything else by its type. */
function describe(value) {
  return typeof value === 'number' ? String(value) : kindOf(value)
}

/** Names a value's type for a message, never the value. */
function kindOf(value) {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (isPromise(value)) return 'a promise'
  if (isDate(value)) return 'a Date'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
