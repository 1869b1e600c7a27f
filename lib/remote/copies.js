'use strict'

/**
 * The sessions in copies of records (see lib/redis/records.js): what such a text means, given when
 * the server lets it expire.
 */

const { isDate } = require('node:util/types')
const { parse } = require('../body.js')
const { EXPIRES, isRenewal, withExpires } = require('../merge.js')
const { monotonic } = require('./clock.js')
const { TOLERANCE } = require('./rules.js')

/** The session in a copy, with the expiry that the server gives it. */
function sessionIn(copy, serializer, { ttl }) {
  const session = parse(serializer, copy.body)
  // Otherwise the cookie has an expiry of its own.
  if (ttl === undefined) tellExpiry(session, copy)
  return session
}

/** Whether the cookie of `session` differs from that of a copy in when it expires, at most. */
function isRenewed(copy, session, serializer) {
  copy.cookie ??= parse(serializer, copy.body)?.cookie
  const stored = membersOf(copy.cookie)
  const own = stored && membersOf(session?.cookie)
  return own !== undefined && isRenewal(stored, own)
}

/** The members of a cookie that are stored; undefined if it is no object. */
function membersOf(cookie) {
  if (!isMembers(cookie)) return undefined
  const members = typeof cookie.toJSON === 'function' ? cookie.toJSON() : cookie
  return isMembers(members) ? withExpires(members) : undefined
}

function isMembers(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && !isDate(value)
}

/**
 * Whether no other request can have renewed the session for longer than `ttl`: a renewal is for as
 * long as the cookie was given, and what changes that is another text.
 */
function isLongestLife(session, ttl, options) {
  if (typeof options.ttl === 'number') return true
  const cookie = session?.cookie
  if (options.ttl || !cookie) return false
  const { originalMaxAge } = cookie
  if (typeof originalMaxAge === 'number') return ttl >= originalMaxAge - TOLERANCE
  return !cookie.expires
}

/**
 * Gives the cookie the expiry that the server says: another request may have moved only that. For
 * sessions whose lifetime is their cookie's.
 */
function tellExpiry(session, { expiresAt }) {
  const cookie = session?.cookie
  if (expiresAt === Infinity || !cookie || typeof cookie !== 'object') return
  const name = EXPIRES.find((one) => cookie[one])
  if (name === undefined) return
  const expires = cookie[name]
  const time = typeof expires === 'string' ? Date.parse(expires) : Number(expires)
  const stored = Date.now() + expiresAt - monotonic()
  if (!(Math.abs(time - stored) > TOLERANCE)) return
  const date = new Date(Math.round(stored))
  cookie[name] = typeof expires === 'string' ? date.toISOString() : date
}

module.exports = { isLongestLife, isRenewed, membersOf, sessionIn }
