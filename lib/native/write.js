'use strict'

/**
 * Writes and touches of sessions. A session that a request has read is compared with what is stored
 * and written in one native step, and merged with what other requests wrote meanwhile.
 */

const { bodyKind, isSameBody, parse, toBody, toText } = require('../body.js')
const { hasFixedTtl, merged, renewal, ttlOfMerge, withCookie } = require('../conflict.js')
const { refusalError } = require('../errors.js')
const { debug, tag } = require('../log.js')
const { lifetimeOf } = require('../users.js')
const { PackedBody } = require('./builders.js')
const { isDone } = require('./cookie.js')

// What a native write answers; see src/node/codes.rs.
const [DESTROYED, CHANGED] = [-2, -3]

/** Stands for any version that may be stored. */
const ANY_VERSION = -1

/** A version that nothing stored has. */
const NO_VERSION = 0

/** A version that is later than any. */
const LAST_VERSION = Number.MAX_SAFE_INTEGER

/** The terms of a write of which the native store need not be told anything. */
const NO_TERMS = [undefined, undefined, undefined]

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
function writeNew(engine, serializer, key, session, data, ttl) {
  const { native, state, termsOf } = engine
  const [user, most, lifetime] = termsOf ? termsOf(session, key, serializer) : NO_TERMS
  const now = timeOfOpen(state, 'set')
  const kind = bodyKind(serializer, data)
  const written = native.set(key, data, now, ttl, kind, user, most, lifetime)
  const refusal = refusalError(written, key, state.options)
  if (refusal) throw refusal
  if (written !== DESTROYED) return written
  debugRefused(key)
  return undefined
}

/** Writes a session that was read before, unless it was destroyed since. */
function writeTied(engine, serializer, tie, session, data, ttl) {
  const { ties, options } = engine.state
  const { conflict } = options
  if (hasOutlived(engine, tie, session)) {
    engine.native.noteRefused()
    if (debug.enabled) debug('REFUSED %s: its lifetime is over', tag(tie.key))
    return
  }
  const areMerged = conflict !== 'overwrite' && typeof conflict !== 'function'
  const isJson = serializer === JSON && isText(tie.body)
  const { written, isMerge } =
    areMerged && isJson && !engine.hasTermsFunction
      ? writeJson(engine, tie, session, data, ttl)
      : writeCompared(engine, serializer, tie, session, data, ttl)
  if (written === DESTROYED) {
    debugRefused(tie.key)
    return
  }
  ties.noteWritten(tie, data, written, !isMerge)
  if (debug.enabled && isMerge) debug('MERGE %s', tag(tie.key))
}

/** Whether the session reached the option `lifetime` after its request read it. */
function hasOutlived({ native, state }, { key, created }, session) {
  if (created === undefined) return false
  const lifetime = lifetimeOf(state.options, session, key)
  const now = timeOfOpen(state, 'set')
  // If it is there, it may have a new user, and with that a new lifetime.
  return now > created + lifetime && !native.isAlive(key, now)
}

function isText(body) {
  return typeof body === 'string' || body instanceof PackedBody
}

function debugRefused(key) {
  if (debug.enabled) debug('REFUSED %s: it was destroyed', tag(key))
}

/**
 * Writes JSON, which the native store merges itself. Returns what the native write answered, and
 * whether others' changes were merged into the session.
 */
function writeJson({ native, state, termsOf }, tie, session, data, ttl) {
  const { key, version, isWhole, body } = tie
  const { options } = state
  const [user, most, lifetime] = termsOf ? termsOf(session, key, JSON) : NO_TERMS
  const now = timeOfOpen(state, 'set')
  const expected = isWhole ? version : NO_VERSION
  const isFixed = Number(hasFixedTtl(options))
  const write = (base) =>
    native.merge(key, data, now, ttl, version, expected, base, isFixed, user, most, lifetime)
  // Nearly always nobody else has written, and nobody needs what was read.
  let answer = write(undefined)
  if (answer === CHANGED) answer = write(toText(body))
  const refusal = refusalError(answer, key, options)
  if (refusal) throw refusal
  // An added half stands for a merge.
  const written = Math.floor(answer)
  return { written, isMerge: written !== answer }
}

/** As `writeJson`, for what only JavaScript can merge. */
function writeCompared({ native, state, termsOf }, serializer, tie, session, data, ttl) {
  const { options } = state
  const given = { session, body: data, ttl, isMerge: false }
  let write = given
  let expected = ANY_VERSION
  if (options.conflict !== 'overwrite') expected = tie.isWhole ? tie.version : NO_VERSION
  for (let attempt = 1; ; attempt++) {
    const { body, ttl, isMerge } = write
    const kind = bodyKind(serializer, body)
    const terms = termsOf ? termsOf(write.session, tie.key, serializer) : NO_TERMS
    const now = timeOfOpen(state, 'set')
    const times = [now, ttl, kind, tie.version, expected, Number(isMerge)]
    const written = native.setTied(tie.key, body, ...times, ...terms)
    const refusal = refusalError(written, tie.key, options)
    if (refusal) throw refusal
    if (written !== CHANGED) return { written, isMerge }
    // Another request wrote. Merge its changes, and write if nobody else does meanwhile.
    const stored = native.peek(tie.key, timeOfOpen(state, 'set'))
    const life = native.expires() - now
    expected = stored === undefined ? NO_VERSION : native.version()
    if (attempt === MAX_ATTEMPTS) expected = ANY_VERSION
    // If the bodies are equal, nobody else changed the session: only its lifetime was in question.
    write = given
    if (!stored || isSameBody(stored, toText(tie.body))) continue
    const theirs = parse(serializer, stored)
    write = merged(options, serializer, tie.body, session, given, theirs, life) ?? given
  }
}

/**
 * Touches a session that was read before and whose cookie another request may have changed since.
 * Returns false if `rewrite` is needed.
 */
function mergeCookie({ native, state }, key, session, now, ttl, tie, lifetime) {
  if (!isText(tie.body)) return false
  const holder = JSON.stringify({ cookie: session.cookie })
  const touched = native.mergeCookie(
    key,
    holder,
    now,
    ttl,
    toText(tie.body),
    Number(hasFixedTtl(state.options)),
    lifetime,
  )
  return isDone(touched)
}

/** Touches by reading the session, giving it the new cookie, and writing it. */
function rewrite(engine, serializer, key, session, ttl, tie) {
  const { native, disposal, state, termsOf } = engine
  const { options } = state
  for (let attempt = 1; ; attempt++) {
    const now = timeOfOpen(state, 'touch')
    const data = native.fetch(key, now)
    const version = attempt < MAX_ATTEMPTS ? native.version() : LAST_VERSION
    const life = native.expires() - now
    if (data === undefined) return

    const stored = parse(serializer, data)
    const renewed = tie && renewal(serializer, tie.body, stored, session)
    const isChange = renewed ? renewed.isChange : true
    const touched = withCookie(stored, renewed ? renewed.cookie : session.cookie)
    const body = toBody(serializer.stringify(touched))
    const kind = bodyKind(serializer, body)
    const newTtl = renewed ? ttlOfMerge(options, renewed.side, ttl, life) : ttl
    const terms = termsOf ? termsOf(touched, key, serializer) : NO_TERMS
    const times = [timeOfOpen(state, 'touch'), newTtl, kind, version, Number(isChange)]
    const written = native.rewrite(key, body, ...times, ...terms)
    const refusal = refusalError(written, key, options)
    if (refusal) throw refusal
    if (disposal) disposal.ofRemoved()
    // If another thread has written the session meanwhile, touch that one.
    if (written !== CHANGED) return
  }
}

/** The time, for the next native call. The serializer or a fake clock may have closed the store. */
function timeOfOpen(state, method) {
  const now = Date.now()
  state.assertOpen(method)
  return now
}

module.exports = { mergeCookie, rewrite, writeNew, writeTied }
