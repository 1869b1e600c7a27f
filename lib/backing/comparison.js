'use strict'

/**
 * Whether what is stored is still what was read. Stores write sessions in their own way, so their
 * values are compared, not their texts.
 */

const { isDeepStrictEqual } = require('node:util')
const { isRenewal, lifetimeSide } = require('../merge.js')
const { membersOf } = require('../remote/copies.js')
const { TOLERANCE } = require('../remote/rules.js')

/** Members in which a store notes the time of a write: session-file-store does. */
const NOTES = ['__lastAccess']

/** Whether two sessions differ in when they expire, at most. */
function isSameButExpiry(one, other) {
  const cookies = [one, other].map((session) => membersOf(session?.cookie))
  if (cookies.includes(undefined)) return isDeepStrictEqual(one, other)
  if (!isDeepStrictEqual(...cookies) && !isRenewal(...cookies)) return false
  return isDeepStrictEqual(withoutNotes(one), withoutNotes(other))
}

/**
 * Whether a write of `mine` for what is `expected` may take the place of what is `stored`. If it was
 * renewed meanwhile, it may if it lives no shorter than that by more than it takes to write.
 */
function isReplaceable(expected, stored, mine) {
  if (!isSameButExpiry(expected, stored)) return false
  const cookies = [expected, stored, mine].map((session) => membersOf(session?.cookie))
  if (cookies.includes(undefined) || lifetimeSide(...cookies) === 'mine') return true
  const [, theirs, own] = cookies.map(({ expires }) => new Date(expires).getTime())
  return theirs - own <= TOLERANCE
}

function withoutNotes(session) {
  const rest = Object.assign(Object.create(Object.getPrototypeOf(session)), session)
  for (const name of ['cookie', ...NOTES]) delete rest[name]
  return rest
}

module.exports = { isReplaceable, isSameButExpiry }
