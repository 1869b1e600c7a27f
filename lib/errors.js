'use strict'

/**
 * The errors of a store, made in the realm that the package was loaded in: under Jest, an error
 * made by native code is not an `Error` to the caller.
 */

const { isNativeError } = require('node:util/types')
const { kindOf } = require('./options.js')

module.exports = {
  backingError,
  closedError,
  endingError,
  inThisRealm,
  noUsersError,
  ofThisRealm,
  openingError,
  refusalError,
  refusedByServerError,
  reservedSidError,
  sidError,
  silenceError,
  timeoutError,
  unavailableError,
  unsupportedError,
  userFullError,
  watcherError,
}

// Why a native write was refused; see src/node/codes.rs.
const [TOO_LARGE, WRONG_SID, USER_FULL] = [-1, -6, -7]

/** How messages of the native store begin. */
const OURS = 'memorystore-rs: '

function ofThisRealm(err) {
  if (err instanceof Error || !isNativeError(err) || !err.message.startsWith(OURS)) return err
  return errorOf(err.message, err.code)
}

/** Calls a native function; its errors are thrown as errors of this realm. */
function inThisRealm(call) {
  try {
    return call()
  } catch (err) {
    throw ofThisRealm(err)
  }
}

/** Why a store could not be opened, by what `createStore` answered; undefined if it was. */
function openingError({ differing, error, code }, { name, path }) {
  if (error !== undefined) return errorOf(error, code)
  if (differing === undefined) return undefined
  const [store, kind] =
    path === undefined
      ? [`the store named ${JSON.stringify(name)}`, 'NAME']
      : [`a store of this process on the path ${JSON.stringify(String(path))}`, 'PATH']
  return errorOf(
    `${OURS}${store} is open with another \`${differing}\`; all stores that share it have to give the same value. Close the other store first; one that is no longer referenced goes away once it is garbage-collected`,
    `ERR_MEMORYSTORE_${kind}`,
  )
}

function sidError(method, sid) {
  const error = new TypeError(
    `memorystore-rs: the sid given to ${method}() is ${kindOf(sid)}; it has to be a string`,
  )
  error.code = 'ERR_INVALID_ARG_TYPE'
  return error
}

function watcherError(fn) {
  const error = new TypeError(
    `memorystore-rs: what watch() is to call is ${kindOf(fn)}; it has to be a function`,
  )
  error.code = 'ERR_INVALID_ARG_TYPE'
  return error
}

/** Why a session cannot be stored, by what a native write answered; undefined if it was. */
function refusalError(written, sid, options) {
  if (written === TOO_LARGE) return tooLargeError(options)
  if (written === USER_FULL) return userFullError()
  return written === WRONG_SID ? sidLengthError(sid) : undefined
}

function tooLargeError({ path }) {
  const error = new RangeError(
    path === undefined
      ? 'memorystore-rs: the session alone takes more memory than the option `maxBytes` allows; it was not stored'
      : 'memorystore-rs: the session is longer than an eighth of the option `mapSize` (or than 256 MiB), or takes more than `maxBytes`; it was not stored',
  )
  error.code = 'ERR_MEMORYSTORE_TOO_LARGE'
  return error
}

/** On a path the length of a sid is limited. */
function sidLengthError(sid) {
  const [what, code] =
    sid === ''
      ? ['is empty', 'ERR_INVALID_ARG_VALUE']
      : ['has more than 503 bytes', 'ERR_MEMORYSTORE_TOO_LARGE']
  const error = new RangeError(
    `memorystore-rs: the sid ${what}; on a \`path\` it must have between 1 and 503 bytes; the session was not stored`,
  )
  error.code = code
  return error
}

/** The user of a session has as many as the option `maxPerUser` allows. */
function userFullError() {
  return errorOf(
    'memorystore-rs: the user has as many sessions as the option `maxPerUser` allows; the session was not stored',
    'ERR_MEMORYSTORE_USER_FULL',
  )
}

function noUsersError(method) {
  return errorOf(
    `memorystore-rs: ${method}() needs the option \`user\`, which tells whose a session is`,
    'ERR_INVALID_STATE',
  )
}

/** What is to be ended was not said: that must not end all. */
function endingError(option, value) {
  const expected = {
    options: 'an object',
    except: 'a sid',
    only: 'the id of a session in a list of sessionsOf()',
  }
  const rest = Object.hasOwn(expected, option)
    ? `is ${kindOf(value)}; it has to be ${expected[option]}`
    : 'is not known; there are `except` and `only`'
  const error = new TypeError(`memorystore-rs: the \`${option}\` given to destroyUser() ${rest}`)
  error.code = 'ERR_INVALID_ARG_TYPE'
  return error
}

function closedError(method) {
  return errorOf(
    `memorystore-rs: ${method}() was called on a store that is closed`,
    'ERR_MEMORYSTORE_CLOSED',
  )
}

/** Why a connection was given up that was there. */
function silenceError(timeout) {
  return errorOf(`memorystore-rs: Redis has not answered a ping for ${timeout} ms`)
}

/** The server cannot be reached, or will answer otherwise in a moment. */
function unavailableError(cause) {
  return errorOf(
    'memorystore-rs: there is no connection to Redis, or it cannot serve at the moment; see `cause`',
    'ERR_MEMORYSTORE_UNAVAILABLE',
    cause,
  )
}

function timeoutError(method, timeout) {
  return errorOf(
    `memorystore-rs: ${method}() had no answer within the option \`timeout\` (${timeout} ms); a write may have been done`,
    'ERR_MEMORYSTORE_TIMEOUT',
  )
}

/** The server has answered with an error: it is full, or the account may not do this. */
function refusedByServerError(cause) {
  const [code] = /^[A-Z]+/.exec(cause.message)
  return errorOf(
    `memorystore-rs: Redis refused a command with ${code}; see \`cause\``,
    'ERR_MEMORYSTORE_REFUSED',
    cause,
  )
}

/** With Redis, some sids would be stored where the tombstone of another one is. */
function reservedSidError() {
  const error = new RangeError(
    'memorystore-rs: the sid has the form of the key under which a destroyed session is remembered; the session was not stored',
  )
  error.code = 'ERR_INVALID_ARG_VALUE'
  return error
}

/** The store given as `backing` has failed in a way that express-session would take for an answer. */
function backingError(method, cause) {
  return errorOf(
    `memorystore-rs: ${method}() of the store given as \`backing\` failed; see \`cause\``,
    'ERR_MEMORYSTORE_UNAVAILABLE',
    cause,
  )
}

/**
 * @param done what cannot be done with its sessions
 * @param missing what the store given as `backing` has or does not have
 */
function unsupportedError(done, missing) {
  return errorOf(
    `memorystore-rs: the sessions cannot be ${done}: the store given as \`backing\` has ${missing}`,
    'ERR_MEMORYSTORE_UNSUPPORTED',
  )
}

function errorOf(message, code, cause) {
  const error = new Error(message, cause === undefined ? undefined : { cause })
  if (code !== undefined) error.code = code
  return error
}
