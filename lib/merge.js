'use strict'

/**
 * Merges what two requests made of one session: a three-way merge by key, at every depth of plain
 * objects.
 *
 * `base` is what this request read, `theirs` what is stored because another request wrote it since,
 * and `mine` what this request wants to write.
 */

const { isDeepStrictEqual } = require('node:util')
const { isDate } = require('node:util/types')

/** Stands for the value of a key that an object does not have. */
const ABSENT = Symbol('absent')

/**
 * The field behind `expires` of express-session's Cookie. A serializer that does not call `toJSON`,
 * such as v8.serialize, stores the fields.
 */
const FIELD = '_expires'

/** The members that say when a cookie expires; a cookie has one of them. */
const EXPIRES = ['expires', FIELD]

/** What says how long a cookie lives: these are all taken from the same request. */
const LIFETIME = ['originalMaxAge', 'maxAge', ...EXPIRES]

module.exports = { EXPIRES, isRenewal, lifetimeSide, merge, mergeCookies, withExpires }

/** More milliseconds than a renewal of a cookie takes. */
const MOST_LOST = 1000

/**
 * Returns the session to write. A key that only one request changed, added or deleted is as that
 * one left it. If both did, plain objects are merged in turn; an object that one of them removed,
 * or set to null or `{}`, stays so if the other only changed what is inside; otherwise `mine` wins.
 *
 * Undefined if one of the three is no plain object, so that there are no keys to compare.
 */
function merge(base, theirs, mine) {
  if (![base, theirs, mine].every(isPlainObject)) return undefined
  const merged = mergeObjects(base, theirs, mine)
  const cookies = [base, theirs, mine].map((session) => memberOf(session, 'cookie'))
  if (cookies.every(isPlainObject)) setMember(merged, 'cookie', mergeCookies(...cookies))
  return merged
}

/** As `merge`, for cookies: the lifetime that a request set stays, else the longer one does. */
function mergeCookies(base, theirs, mine) {
  const merged = mergeObjects(base, theirs, mine)
  const from = lifetimeSide(base, theirs, mine) === 'mine' ? mine : theirs
  for (const name of LIFETIME) setMember(merged, name, memberOf(from, name))
  return merged
}

/**
 * Whose lifetime a merged cookie has: 'mine' if this request set a new one or nobody renewed it for
 * longer, 'theirs' if another one set a new one, 'longer' if another one renewed it for longer.
 */
function lifetimeSide(base, theirs, mine) {
  if (hasNewLifetime(base, mine)) return 'mine'
  if (hasNewLifetime(base, theirs)) return 'theirs'
  const isRenewed = timeOf(theirs) !== timeOf(base) && timeOf(theirs) > timeOf(mine)
  return isRenewed ? 'longer' : 'mine'
}

/**
 * Whether `cookie` is `base` with another time of expiry and nothing else: the members of a cookie
 * are compared one by one.
 */
function isRenewal(base, cookie) {
  if (hasNewLifetime(base, cookie)) return false
  for (const name in cookie) {
    if (LIFETIME.includes(name)) continue
    if (!isSameMember(base[name], cookie[name])) return false
  }
  for (const name in base) {
    if (base[name] === undefined || LIFETIME.includes(name)) continue
    if (cookie[name] === undefined || !Object.hasOwn(cookie, name)) return false
  }
  return true
}

function isSameMember(was, is) {
  return was === is || (typeof was === 'object' && isDeepStrictEqual(was, is))
}

/** Whether a cookie was given another lifetime, rather than renewed for the one that it had. */
function hasNewLifetime(base, cookie) {
  const isSame = (name) => isSameAge(memberOf(base, name), memberOf(cookie, name))
  if (!isSame('originalMaxAge') || !isSame('maxAge')) return true
  return Number.isNaN(timeOf(base)) !== Number.isNaN(timeOf(cookie))
}

/**
 * Whether both are the same number of milliseconds, give or take a renewal: when express-session
 * renews a cookie it reads the clock twice, and the time in between is lost.
 */
function isSameAge(was, is) {
  if (typeof was !== 'number' || typeof is !== 'number') return isDeepStrictEqual(was, is)
  return was === is || (was > is && was - is < MOST_LOST)
}

/** The members of a cookie as its `toJSON` gives them, if these are its fields. */
function withExpires(members) {
  if (!Object.hasOwn(members, FIELD) || Object.hasOwn(members, 'expires')) return members
  const { [FIELD]: expires, ...others } = members
  return { ...others, expires }
}

/** When a cookie expires, in milliseconds; NaN if it does not say. */
function timeOf(cookie) {
  const expires = cookie.expires ?? cookie[FIELD]
  if (typeof expires === 'string') return Date.parse(expires)
  return isDate(expires) ? expires.getTime() : NaN
}

function mergeObjects(base, theirs, mine) {
  const merged = {}
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    const [was, their, my] = [base, theirs, mine].map((object) => memberOf(object, key))
    setMember(merged, key, mergeValues(was, their, my))
  }
  return merged
}

function mergeValues(base, theirs, mine) {
  if (isDeepStrictEqual(mine, base)) return theirs
  if (isDeepStrictEqual(theirs, base)) return mine
  const isObject = isPlainObject(base)
  if (isObject && isNothing(mine) && isPlainObject(theirs)) return mine
  if (isObject && isNothing(theirs) && isPlainObject(mine)) return theirs
  if (!isPlainObject(theirs) || !isPlainObject(mine)) return mine
  // Both may have made the object, as the first two requests that put something into a cart do.
  if (isObject || isNothing(base)) return mergeObjects(isObject ? base : {}, theirs, mine)
  return mine
}

/** Whether it stands for no value: some apps clear a key like this instead of deleting it. */
function isNothing(value) {
  if (value === ABSENT || value === undefined || value === null) return true
  return isPlainObject(value) && Object.keys(value).length === 0
}

function memberOf(object, key) {
  return Object.hasOwn(object, key) ? object[key] : ABSENT
}

/** Also for `__proto__`, which an assignment would take for the prototype. */
function setMember(object, key, value) {
  if (value === ABSENT) {
    delete object[key]
    return
  }
  Object.defineProperty(object, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}

function isPlainObject(value) {
  if (value === null || typeof value !== 'object') return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
