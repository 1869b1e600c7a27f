'use strict'

/**
 * What to store if two requests wrote a session: merges the serialized texts of any serializer, and
 * calls the function `conflict`. See merge.js for the rules.
 */

const { isDeepStrictEqual } = require('node:util')
const { isDate } = require('node:util/types')
const { parse, toBody } = require('./body.js')
const { lifetimeSide, merge, mergeCookies, withExpires } = require('./merge.js')
const { kindOf } = require('./options.js')

module.exports = { hasFixedTtl, merged, renewal, ttlOfMerge, withCookie }

/**
 * What this request and another one have made of a session. Undefined if the two cannot be merged.
 *
 * @param {object} options what `store.options` holds
 * @param {string | Uint8Array} base the session as this request read it
 * @param {object} session what this request writes
 * @param {{body: string | Uint8Array, ttl: number}} given the same, serialized, and its lifetime
 * @param theirs the session that another request stored meanwhile
 * @param {number} life how long that one lives, in milliseconds
 */
function merged(options, serializer, base, session, given, theirs, life) {
  const three = [parse(serializer, base), theirs, parse(serializer, given.body)]
  const result =
    typeof options.conflict === 'function' ? resultOf(options.conflict, ...three) : merge(...three)
  if (result === undefined) return undefined
  const cookies = three.map((one) => one?.cookie)
  const side = cookies.every(isObject) ? lifetimeSide(...cookies) : 'mine'
  if (Object.hasOwn(result, 'cookie')) {
    result.cookie = cookieFor(serializer, session.cookie, result.cookie, three[2].cookie)
  }
  return {
    session: result,
    body: toBody(serializer.stringify(result)),
    ttl: ttlOfMerge(options, side, given.ttl, life),
    isMerge: true,
  }
}

/** What the function `conflict` makes of the three. */
function resultOf(conflict, base, theirs, mine) {
  const cookies = [base, theirs, mine].map((session) => session?.cookie)
  const cookie = cookies.every(isObject) ? mergeCookies(...cookies) : mine?.cookie
  const result = conflict(base, theirs, mine)
  if (!isObject(result) || typeof result.then === 'function') {
    throw new TypeError(
      `memorystore-rs: the function \`conflict\` returned ${kindOf(result)}; it has to return the session to write`,
    )
  }
  // A cookie of its own making stays.
  const isOwn = result.cookie !== undefined && !cookies.includes(result.cookie)
  return isOwn || cookie === undefined ? { ...result } : { ...result, cookie }
}

/**
 * The cookie that a touch is to store, if its request read the session as the body `base`, and
 * `stored` is what is stored now. Undefined if one of the three has no cookie.
 */
function renewal(serializer, base, stored, session) {
  const three = [parse(serializer, base), stored, session].map((one) => plain(one?.cookie))
  if (!three.every(isObject)) return undefined
  const [, theirs, mine] = three
  const cookie = mergeCookies(...three)
  const isChange = !isDeepStrictEqual({ ...cookie, expires: 0 }, { ...theirs, expires: 0 })
  return {
    cookie: cookieFor(serializer, session.cookie, cookie, mine),
    side: lifetimeSide(...three),
    isChange,
  }
}

/** The members of a cookie, as they are after a round trip through JSON. */
function plain(cookie) {
  return isObject(cookie) ? withExpires(JSON.parse(JSON.stringify(cookie))) : undefined
}

/**
 * How long a merged session lives, if this request gives it `ttl` and what is stored lives `life`
 * more. A numeric option `ttl` is the same for all requests.
 */
function ttlOfMerge(options, side, ttl, life) {
  if (side === 'mine' || hasFixedTtl(options)) return ttl
  return side === 'theirs' ? life : Math.max(ttl, life)
}

/**
 * A merged cookie as `stringify` expects it: for JSON its members, otherwise an object of the class
 * of the request's own cookie.
 */
function cookieFor(serializer, own, cookie, mine) {
  if (serializer === JSON || !isObject(own) || !isObject(cookie)) return cookie
  if (isDeepStrictEqual(cookie, mine)) return own
  const made = Object.assign(Object.create(Object.getPrototypeOf(own)), own)
  for (const name of Object.keys(mine ?? {})) if (!Object.hasOwn(cookie, name)) delete made[name]
  for (const name of Object.keys(cookie)) made[name] = cookie[name]
  if (typeof cookie.expires === 'string') made.expires = new Date(cookie.expires)
  // An express-session Cookie derives this from `expires` if that is set.
  if (Object.hasOwn(cookie, 'originalMaxAge')) made.originalMaxAge = cookie.originalMaxAge
  return made
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !isDate(value)
}

/** The session with another cookie: a copy if `parse` gave an object that cannot be changed. */
function withCookie(session, cookie) {
  if (Reflect.set(session, 'cookie', cookie)) return session
  return Object.assign(Object.create(Object.getPrototypeOf(session)), session, { cookie })
}

/** Whether all sessions have one lifetime. */
function hasFixedTtl({ ttl }) {
  return typeof ttl === 'number'
}
