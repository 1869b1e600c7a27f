'use strict'

const { toSerialized } = require('./body.js')

module.exports = { disposeOfPairs }

/**
 * Calls `dispose` for all of `pairs`, an array of sid, body, sid, body, ...; then throws the first
 * error that one of the calls threw. A body of undefined is none.
 */
function disposeOfPairs(dispose, pairs) {
  const errors = []
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i + 1] === undefined) continue
    try {
      dispose(pairs[i], toSerialized(pairs[i + 1]))
    } catch (err) {
      errors.push(err)
    }
  }
  if (errors.length > 0) throw errors[0]
}
