'use strict'

/**
 * The options `user`, `lifetime`, `maxPerUser`, `whenFull` and `anonymousFirst`: what is wrong with
 * them, and what the native store takes.
 */

const { describe } = require('./kinds.js')

module.exports = { assertUserOptions, nativeUserOptions }

/**
 * Sessions that were meant to be limited must not silently be without a limit, so these errors are
 * thrown.
 */
function assertUserOptions(values) {
  const { user, lifetime, maxPerUser } = values
  if (user !== undefined && typeof user !== 'function' && !isPath(user)) {
    throw optionError('user', user, "a path such as 'passport.user', or a function")
  }
  if (lifetime !== undefined && typeof lifetime !== 'function' && !isNumber(lifetime)) {
    throw optionError('lifetime', lifetime, 'a number of milliseconds, or a function')
  }
  const isCount = isNumber(maxPerUser) && maxPerUser >= 1
  if (maxPerUser !== undefined && typeof maxPerUser !== 'function' && !isCount) {
    throw optionError('maxPerUser', maxPerUser, 'a positive number, or a function')
  }
  if (maxPerUser !== undefined && user === undefined) {
    throw new TypeError(
      'memorystore-rs: the option `maxPerUser` needs the option `user`, which tells whose a session is',
    )
  }
  if (values.backing === undefined) return
  for (const option of ['user', 'lifetime', 'maxPerUser']) {
    if (values[option] === undefined) continue
    throw new TypeError(
      `memorystore-rs: the options \`${option}\` and \`backing\` cannot be combined; \`${option}\` is for stores in memory, on a \`path\` and on \`redis\` so far`,
    )
  }
}

function optionError(option, value, expected) {
  return new TypeError(
    `memorystore-rs: the option \`${option}\` is ${describe(value)}; it has to be ${expected}`,
  )
}

/** Whether it is names with dots between them. */
function isPath(value) {
  return typeof value === 'string' && value.isWellFormed() && value.split('.').every(Boolean)
}

function isNumber(value) {
  return typeof value === 'number' && !Number.isNaN(value)
}

/** What the native store takes in place of a function: what that gives comes with each write. */
const [TOLD_USER, TOLD_NUMBER] = ['', NaN]

function nativeUserOptions(values) {
  const { user, lifetime = Infinity, maxPerUser = Infinity, whenFull, anonymousFirst } = values
  return {
    user: typeof user === 'function' ? TOLD_USER : user,
    lifetime: typeof lifetime === 'function' ? TOLD_NUMBER : lifetime,
    maxPerUser: typeof maxPerUser === 'function' ? TOLD_NUMBER : Math.floor(maxPerUser),
    isRefusing: whenFull === 'refuse',
    anonymousFirst: Boolean(anonymousFirst ?? true),
  }
}
