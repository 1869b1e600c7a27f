'use strict'

/**
 * Writes and touches of sessions. A session that a request has read is compared with what is stored
 * and written in one native step, and merged with what other requests wrote meanwhile.
 */

const { isDeepStrictEqual } = require('node:util')
const { isDate } = require('node:util/types')
const { bodyKind, parse, toBody } = require('./body.js')
const { isDone } = require('./cookie.js')
const { refusalError } = require('./errors.js')
const { debug, tag } = require('./log.js')
const { lifetimeSide, merge, mergeCookies } = require('./merge.js')
const { kindOf } = require('./options.js')

// What a native write answers; see src/node/codes.rs.
const [DESTROYED, CHANGED] = [-2, -3]

/** Stands for any version that may be stored. */
const ANY_VERSION = -1

/** A version that nothing stored has. */
const NO_VERSION = 0

/** A version that is later than any. */
const LAST_VERSION = Number.MAX_SAFE_INTEGER

/**
 * After so many attempts, each beaten by another write, what is stored is overwritten. No realistic
 * number of threads causes this, but a serializer that writes the session itself would make the
 * loop endless.
 */
const MAX_ATTEMPTS = 1000

/**
 * Writes a session that nobody is known to have read. Returns its version; undefined if it was not
 * written because it had been destroyed.
 */
function writeNew(state, serializer, key, data, ttl) {
  const now = timeOfOpen(state, 'set')
  const written = state.native.set(key, data, now, ttl, bodyKind(serializer, data))
  const refusal = refusalError(written, key, state.options)
  if (refusal) throw refusal
  if (written !== DESTROYED) return written
  debugRefused(key)
  return undefined
}

/** Writes a session that was read before, unless it was destroyed since. */
function writeTied(state, serializer, tie, session, data, ttl) {
  const { conflict } = state.options
  const areMerged = conflict !== 'overwrite' && typeof conflict !== 'function'
  const isJson = serializer === JSON && typeof tie.body === 'string'
  const { written, isMerge } =
    areMerged && isJson
      ? writeJson(state, tie, data, ttl)
      : writeCompared(state, serializer, tie, session, data, ttl)
  if (written === DESTROYED) {
    debugRefused(tie.key)
    return
  }
  state.ties.noteWritten(tie, data, written, !isMerge)
  if (debug.enabled && isMerge) debug('MERGE %s', tag(tie.key))
}

function debugRefused(key) {
  if (debug.enabled) debug('REFUSED %s: it was destroyed', tag(key))
}

/**
 * Writes JSON, which the native store merges itself. Returns what the native write answered, and
 * whether others' changes were merged into the session.
 */
function writeJson(state, { key, version, isWhole, body }, data, ttl) {
  const { native, options } = state
  const now = timeOfOpen(state, 'set')
  const expected = isWhole ? version : NO_VERSION
  const hasFixedLifetime = hasFixedTtl(options)
  const answer = native.merge(key, data, now, ttl, version, expected, body, hasFixedLifetime)
  const refusal = refusalError(answer, key, options)
  if (refusal) throw refusal
  // An added half stands for a merge.
  const written = Math.floor(answer)
  return { written, isMerge: written !== answer }
}

/** As `writeJson`, for what only JavaScript can merge. */
function writeCompared(state, serializer, tie, session, data, ttl) {
  const { native, options } = state
  const given = { body: data, ttl, isMerge: false }
  let write = given
  let expected = ANY_VERSION
  if (options.conflict !== 'overwrite') expected = tie.isWhole ? tie.version : NO_VERSION
  for (let attempt = 1; ; attempt++) {
    const { body, ttl, isMerge } = write
    const kind = bodyKind(serializer, body)
    const now = timeOfOpen(state, 'set')
    const times = [now, ttl, kind, tie.version, expected, Number(isMerge)]
    const written = native.setTied(tie.key, body, ...times)
    const refusal = refusalError(written, tie.key, options)
    if (refusal) throw refusal
    if (written !== CHANGED) return { written, isMerge }
    // Another request wrote. Merge its changes, and write if nobody else does meanwhile.
    const stored = native.peek(tie.key, timeOfOpen(state, 'set'))
    const life = native.expires() - now
    expected = stored === undefined ? NO_VERSION : native.version()
    if (attempt === MAX_ATTEMPTS) expected = ANY_VERSION
    write = (stored && merged(state, serializer, tie, session, given, stored, life)) || given
  }
}

/**
 * Touches a session that was read before and whose cookie another request may have changed since.
 * Returns false if `rewrite` is needed.
 */
function mergeCookie({ native, options }, key, session, now, ttl, tie) {
  if (typeof tie.body !== 'string') return false
  const holder = JSON.stringify({ cookie: session.cookie })
  const touched = native.mergeCookie(key, holder, now, ttl, tie.body, hasFixedTtl(options))
  return isDone(touched)
}

/** Whether all sessions have one lifetime: 1 or 0, as the native store takes it. */
function hasFixedTtl({ ttl }) {
  return typeof ttl === 'number' ? 1 : 0
}

/** Touches by reading the session, giving it the new cookie, and writing it. */
function rewrite(state, serializer, key, session, ttl, tie) {
  const { native, disposal, options } = state
  for (let attempt = 1; ; attempt++) {
    const now = timeOfOpen(state, 'touch')
    const data = native.fetch(key, now)
    const version = attempt < MAX_ATTEMPTS ? native.version() : LAST_VERSION
    const life = native.expires() - now
    if (data === undefined) return

    const stored = parse(serializer, data)
    const renewed = tie && renewal(serializer, tie, stored, session)
    const isChange = renewed ? renewed.isChange : true
    const touched = withCookie(stored, renewed ? renewed.cookie : session.cookie)
    const body = toBody(serializer.stringify(touched))
    const kind = bodyKind(serializer, body)
    const newTtl = renewed ? ttlOfMerge(options, renewed.side, ttl, life) : ttl
    const times = [timeOfOpen(state, 'touch'), newTtl, kind, version, Number(isChange)]
    const written = native.rewrite(key, body, ...times)
    const refusal = refusalError(written, key, options)
    if (refusal) throw refusal
    if (disposal) disposal.ofRemoved()
    // If another thread has written the session meanwhile, touch that one.
    if (written !== CHANGED) return
  }
}

/** The session with another cookie: a copy if `parse` gave an object that cannot be changed. */
function withCookie(session, cookie) {
  if (Reflect.set(session, 'cookie', cookie)) return session
  return Object.assign(Object.create(Object.getPrototypeOf(session)), session, { cookie })
}

/** The time, for the next native call. The serializer or a fake clock may have closed the store. */
function timeOfOpen(state, method) {
  const now = Date.now()
  state.assertOpen(method)
  return now
}

/** What this request and another one have made of a session, if they can be merged. */
function merged({ options }, serializer, tie, session, given, stored, life) {
  // Nobody else changed the session: only its lifetime was in question.
  if (isDeepStrictEqual(stored, tie.body)) return undefined

  const three = [tie.body, stored, given.body].map((body) => parse(serializer, body))
  const result =
    typeof options.conflict === 'function' ? resultOf(options.conflict, ...three) : merge(...three)
  if (result === undefined) return undefined
  const cookies = three.map((one) => one?.cookie)
  const side = cookies.every(isObject) ? lifetimeSide(...cookies) : 'mine'
  if (Object.hasOwn(result, 'cookie')) {
    result.cookie = cookieFor(serializer, session.cookie, result.cookie, three[2].cookie)
  }
  return {
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

/** The cookie that a touch is to store, if its request read the session as `tie` has it. */
function renewal(serializer, tie, stored, session) {
  const base = parse(serializer, tie.body)
  const three = [base, stored, session].map((one) => plain(one?.cookie))
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
  return isObject(cookie) ? JSON.parse(JSON.stringify(cookie)) : undefined
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
  for (const name of Object.keys(cookie)) made[name] = cookie[name]
  if (typeof cookie.expires === 'string') made.expires = new Date(cookie.expires)
  // An express-session Cookie derives this from `expires` if that is set.
  if (Object.hasOwn(cookie, 'originalMaxAge')) made.originalMaxAge = cookie.originalMaxAge
  return made
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !isDate(value)
}

module.exports = { mergeCookie, rewrite, writeNew, writeTied }
