'use strict'

const { toSerialized } = require('./body.js')

module.exports = { disposeOfEach }

/**
 * Calls `dispose` for all that is `gone`, an array of sid, body, reason, sid, body, ...; then throws
 * the first error that one of the calls threw. A body of undefined is none.
 */
function disposeOfEach(dispose, gone) {
  const errors = []
  for (let i = 0; i < gone.length; i += 3) {
    const [sid, body, reason] = [gone[i], gone[i + 1], gone[i + 2]]
    if (body === undefined) continue
    try {
      dispose(sid, toSerialized(body), reason)
    } catch (err) {
      errors.push(err)
    }
  }
  if (errors.length > 0) throw errors[0]
}
