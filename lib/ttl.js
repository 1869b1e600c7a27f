'use strict'

/** How long a session lives, by the option `ttl` or its cookie. */

const { kindOf, warnOfOption } = require('./options.js')

module.exports = { ttlOf }

/** The lifetime of a session that has none of its own, in milliseconds. */
const ONE_DAY = 86400000

/** The lifetime of a session that is expired from the start. */
const NO_TIME = -Infinity

let hasWarned = false

/**
 * How long `session` lives, in milliseconds; `Infinity` is for ever.
 *
 * @throws {TypeError} if the option, or what its function returns, is not a number
 */
function ttlOf(options, session, sid) {
  const { ttl } = options
  if (typeof ttl === 'number') return ttl || Infinity
  if (typeof ttl === 'function') return resultOf(ttl, options, session, sid)
  if (ttl) throw ttlError(`is ${kindOf(ttl)}; it has to be a number or a function that returns one`)
  const maxAge = session && session.cookie ? session.cookie.maxAge : undefined
  if (typeof maxAge !== 'number' || Number.isNaN(maxAge)) return ONE_DAY
  const whole = Math.floor(maxAge)
  return whole === 0 ? NO_TIME : whole
}

function resultOf(ttl, options, session, sid) {
  const result = ttl(options, session, sid)
  if (!result) return Infinity
  if (typeof result === 'number') return result
  if (typeof result === 'bigint') return Number(result)
  // As in memorystore, which compares it with a number.
  const number = typeof result === 'string' ? Number(result) : NaN
  if (Number.isNaN(number)) {
    throw ttlError(`returned ${kindOf(result)}; it has to return a number of milliseconds`)
  }
  if (!hasWarned) {
    hasWarned = true
    warnOfOption('the option `ttl` returned a string, but should return a number; it acts as one')
  }
  return number
}

function ttlError(what) {
  return new TypeError(`memorystore-rs: the option \`ttl\` ${what}`)
}
