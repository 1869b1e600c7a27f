'use strict'

/** Whether a request counts as use of its session, by the option `isActivity`. */

const { isPromise } = require('node:util/types')

module.exports = { isActivity }

/** @throws {TypeError} if the option's function returns a promise, which would always count */
function isActivity(options, session, sid) {
  const { isActivity } = options
  if (typeof isActivity !== 'function') return true
  const result = isActivity(session, sid)
  if (isPromise(result)) {
    throw new TypeError(
      'memorystore-rs: the option `isActivity` returned a promise; it has to return true or false',
    )
  }
  return Boolean(result)
}
