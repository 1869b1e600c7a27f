'use strict'

/**
 * Whose a session is, how many a user may have, and how long a session may live at most: what the
 * options `user`, `maxPerUser` and `lifetime` say of one session. `handleOf` names a session to
 * whom the sid must not be shown.
 */

const { createHash } = require('node:crypto')
const { kindOf, warnOfOption } = require('./options.js')

/** How much of a hash is used: for a handle, that of a sid. */
const HANDLE_BYTES = 16

module.exports = {
  HANDLE_BYTES,
  handleOf,
  hashOf,
  lifetimeOf,
  mostOf,
  ownerReader,
  recordOf,
  userText,
}

let hasWarned = false

/**
 * Makes a function of the option `user`: it gives whose a session is, as text; undefined if it is
 * nobody's. Undefined if the option is not given.
 */
function ownerReader(user) {
  if (user === undefined) return undefined
  const read = typeof user === 'function' ? user : walkOf(user.split('.'))
  return (session) => textOf(read(session), warnOfObject)
}

/** A function that follows own properties. */
function walkOf(names) {
  return (session) => {
    let value = session
    for (const name of names) {
      if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) {
        return undefined
      }
      value = value[name]
    }
    return value
  }
}

/** An id as JSON would have it, as text; undefined if it names nobody. */
function textOf(id, noteObject) {
  const value = typeof id?.toJSON === 'function' ? id.toJSON() : id
  switch (typeof value) {
    case 'string':
      // As text, different ids that are not well-formed could be equal.
      return value !== '' && value.isWellFormed() ? value : undefined
    case 'number':
      return Number.isFinite(value) ? String(value) : undefined
    case 'bigint':
      return String(value)
    case 'object':
      if (value !== null) noteObject?.()
      return undefined
    default:
      return undefined
  }
}

/** As text all objects would be one user. */
function warnOfObject() {
  if (hasWarned) return
  hasWarned = true
  warnOfOption(
    "the option `user` gave an object, but should give the id of a user: text, a number or a bigint; such a session is nobody's",
  )
}

/**
 * The user that is given to a method, as text.
 *
 * @throws {TypeError} if it cannot be one
 */
function userText(method, user) {
  const text = textOf(user)
  if (text !== undefined) return text
  const error = new TypeError(
    `memorystore-rs: the user given to ${method}() is ${user === '' ? 'empty' : kindOf(user)}; it has to be text, a number or a bigint`,
  )
  error.code = 'ERR_INVALID_ARG_TYPE'
  throw error
}

/** How many sessions `user` may have, whose `session` is; `Infinity` if there is no limit. */
function mostOf({ maxPerUser }, user, session) {
  if (typeof maxPerUser !== 'function') return maxPerUser ?? Infinity
  return numberOf('maxPerUser', maxPerUser(user, session))
}

/** How long a session may live from its creation, in milliseconds; `Infinity` is for ever. */
function lifetimeOf(options, session, sid) {
  const { lifetime } = options
  if (typeof lifetime !== 'function') return lifetime ?? Infinity
  return numberOf('lifetime', lifetime(options, session, sid))
}

function numberOf(option, result) {
  if (result === undefined) return Infinity
  if (typeof result === 'number' && !Number.isNaN(result)) return result
  throw new TypeError(
    `memorystore-rs: the option \`${option}\` returned ${Number.isNaN(result) ? 'NaN' : kindOf(result)}; it has to return a number or undefined`,
  )
}

/** The handle of a session: it can be shown, because nobody can make a cookie of it. */
function handleOf(sid) {
  return hashOf(sid)
}

/** Stands for a text where that must not be seen. */
function hashOf(text) {
  return createHash('sha256').update(text).digest().toString('base64url', 0, HANDLE_BYTES)
}

/**
 * What `sessionsOf` and `info` give of a session.
 *
 * @param {object} facts times in milliseconds: `created` and `used`, undefined if they are not
 *   known, and `expires`, `Infinity` if it never does
 * @param {object} more further members
 */
function recordOf({ sid, created, used, expires, bytes, session }, more) {
  return {
    id: handleOf(sid),
    created: dateOf(created),
    used: dateOf(used),
    expires: dateOf(expires),
    bytes,
    ...more,
    session,
  }
}

function dateOf(time) {
  return Number.isFinite(time) ? new Date(time) : undefined
}
