'use strict'

/**
 * Hands a session's cookie to the native touch as the JSON that JSON.stringify gives, but far
 * faster: a cookie is a flat object, and all but its time is as in the last one.
 */

// What the native touch answers; see src/node/codes.rs.
const MISSING = 0
const RENEWED = 1
const NEEDS_TEXT = 3

/** How many kinds of cookies are remembered: more than any application should need. */
const MAX_KINDS = 4

/** The length of what Date.prototype.toISOString gives for the years 0 to 9999. */
const ISO_LENGTH = 24

/** The members of the cookies of express-session and @fastify/session, as they are written. */
const NAMES = {
  __proto__: null,
  originalMaxAge: '"originalMaxAge":',
  maxAge: '"maxAge":',
  expires: '"expires":',
  httpOnly: '"httpOnly":',
  path: '"path":',
  domain: '"domain":',
  secure: '"secure":',
  sameSite: '"sameSite":',
  partitioned: '"partitioned":',
  priority: '"priority":',
  signed: '"signed":',
}

/** Strings that JSON writes as they are. */
const IS_PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

const { toJSON: dateToJSON, toISOString, valueOf: dateValueOf } = Date.prototype
const { toString } = Object.prototype

/** The cookies that a store is touched with. */
class Cookies {
  /** The latest kinds of cookies: those of a kind differ in `expires` only. */
  #kinds = []
  #store

  constructor(store) {
    this.#store = store
  }

  /**
   * Touches the session in place. If `isRenewal`, only if the stored cookie differs in its time
   * alone and expires no later. `lifetime` is what the function of that option gave, if there is
   * one. Returns false if the slow way is needed: reading, changing and
   * writing the session.
   */
  touch(sid, session, now, ttl, isRenewal, lifetime) {
    let members, kind
    try {
      members = flatMembers(session.cookie)
      kind = members && this.#kinds.find((known) => known.matches(members))
    } catch {
      return false
    }
    if (kind?.template) {
      const time = kind.hasTime ? timeOf(members.expires) : undefined
      const { template } = kind
      const guard = isRenewal ? 1 : 0
      const touched = this.#store.touchByTemplate(sid, template, time, now, ttl, guard, lifetime)
      if (touched !== NEEDS_TEXT) return isDone(touched)
    }
    return this.#touchByText(sid, session, members, kind, now, ttl, isRenewal, lifetime)
  }

  #touchByText(sid, session, members, kind, now, ttl, isRenewal, lifetime) {
    let flat, text
    try {
      flat = members && flatText(members)
      text = flat ?? JSON.stringify({ cookie: session.cookie })
    } catch {
      return false
    }
    // A kind that is seen twice is likely to be seen again. One that is seen once may be one of
    // thousands: each session may have an `originalMaxAge` of its own.
    if (kind) kind.template = this.#store.template(text)
    else if (flat !== undefined) this.#remember(new Kind(members))
    return isDone(this.#store.touch(sid, text, now, ttl, isRenewal ? 1 : 0, lifetime))
  }

  #remember(kind) {
    if (!kind.isComparable) return
    this.#kinds.unshift(kind)
    this.#kinds.length = Math.min(this.#kinds.length, MAX_KINDS)
  }
}

/** What cookies that differ in `expires` only have in common. */
class Kind {
  /** The native store's number for it; 0 while there is none. */
  template = 0
  #names
  #values

  constructor(members) {
    this.#names = Object.keys(members)
    this.#values = this.#names.map((name) => commonValue(name, members[name]))
    /** Whether `expires` is a time, in which cookies of this kind differ. */
    this.hasTime = this.#values.includes(ANY_TIME)
    /** Whether equal values make equal text: not so for an object, which may have changed. */
    this.isComparable = this.#values.every((value) => value === null || typeof value !== 'object')
  }

  matches(members) {
    const names = this.#names
    const values = this.#values
    let i = 0
    for (const name in members) {
      if (name !== names[i] || commonValue(name, members[name]) !== values[i]) return false
      i++
    }
    return i === names.length
  }
}

/** Stands for any time that `expires` may be. */
const ANY_TIME = Symbol('any time')

function commonValue(name, value) {
  return name === 'expires' && timeOf(value) !== undefined ? ANY_TIME : value
}

/** The time that a member stands for, as the native touch takes it; undefined if it is none. */
function timeOf(value) {
  if (typeof value === 'string') return value.length === ISO_LENGTH ? value : undefined
  if (value === null || typeof value !== 'object' || !isPlainDate(value)) return undefined
  const time = dateValueOf.call(value)
  return Number.isNaN(time) ? undefined : time
}

function isPlainDate(value) {
  return (
    value instanceof Date &&
    value.toJSON === dateToJSON &&
    value.toISOString === toISOString &&
    value.valueOf === dateValueOf
  )
}

/** Whether a native touch has done all there is to do. */
function isDone(touched) {
  return touched === MISSING || touched === RENEWED
}

/** The object whose members JSON writes; undefined if it is not as flat as cookies usually are. */
function flatMembers(cookie) {
  if (hasPollutedPrototype()) return undefined
  const members = toJSON(cookie, 'cookie')
  if (members === null || typeof members !== 'object') return undefined
  // Inherited members must not be written, and arrays and wrapped strings are no objects to JSON.
  if (Object.getPrototypeOf(members) !== Object.prototype) return undefined
  if (toString.call(members) !== '[object Object]') return undefined
  return members
}

/** The text of `{"cookie":...}`; undefined if a member is not a plain value. */
function flatText(members) {
  let text = '{"cookie":{'
  let separator = ''
  for (const name in members) {
    const value = valueText(toJSON(members[name], name))
    if (value === undefined) return undefined
    if (value === OMITTED) continue
    text += separator + (NAMES[name] ?? `${JSON.stringify(name)}:`) + value
    separator = ','
  }
  return text + '}}'
}

/** The text of a member that JSON leaves out. */
const OMITTED = ''

function valueText(value) {
  switch (typeof value) {
    case 'string':
      return IS_PLAIN.test(value) ? `"${value}"` : JSON.stringify(value)
    case 'number':
      return Number.isFinite(value) ? `${value}` : 'null'
    case 'boolean':
      return value ? 'true' : 'false'
    case 'undefined':
      return OMITTED
    default:
      return value === null ? 'null' : undefined
  }
}

/** What JSON.stringify makes of an object before it writes it. */
function toJSON(value, name) {
  if (value === null || typeof value !== 'object') return value
  if (isPlainDate(value)) {
    // The result of the built-in toJSON, which takes twice as long.
    return Number.isNaN(dateValueOf.call(value)) ? null : value.toISOString()
  }
  return typeof value.toJSON === 'function' ? value.toJSON(name) : value
}

function hasPollutedPrototype() {
  if (Object.prototype.toJSON !== undefined) return true
  for (const _name in Object.prototype) return true
  return false
}

module.exports = { Cookies, isDone }
