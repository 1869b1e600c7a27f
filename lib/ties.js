'use strict'

/**
 * Remembers what a request read, so that what it writes can be compared with what is stored by
 * then. express-session hands each session that it loaded, and no other, to `createSession`: that
 * is where the Session object is tied to what was read.
 */

/**
 * What a session object was made of, or written as last.
 *
 * @typedef {object} Tie
 * @property {object} owner the ties of the store that it belongs to
 * @property {string} key under which it is stored
 * @property {string | Uint8Array} body as the serializer returned it
 * @property {number} version at which it was read or written
 * @property {boolean} isWhole whether just this was stored then, and nothing merged into it
 * @property {boolean} isTaken whether a session has it
 */

/**
 * Where a session has its tie: not enumerable, so nothing that goes through its properties meets
 * it, and a property, so that a Proxy of the session has it too.
 */
const TIE = Symbol('memorystore-rs')

/** A constructor that gives back its argument, so that the fields of its subclass land there. */
class Return {
  constructor(object) {
    return object
  }
}

/**
 * What `get` gave out, with its tie in a private field: nothing can see it, and it costs next to
 * nothing, where a WeakMap costs a third of a `get` (its entries are a burden to the collector).
 */
class Read extends Return {
  #tie

  constructor(object, tie) {
    super(object)
    this.#tie = tie
  }

  static note(object, tie) {
    // A `parse` may give the same object again.
    if (#tie in object) object.#tie = tie
    else if (Object.isExtensible(object)) new Read(object, tie)
    else frozen.set(object, tie)
  }

  static tieOf(object) {
    return #tie in object ? object.#tie : frozen.get(object)
  }
}

/** The ties of what can get no field: a `parse` may give frozen objects. */
const frozen = new WeakMap()

class Ties {
  /** Notes that `get` gives out `session`. */
  noteRead(session, key, body, version) {
    if (session === null || typeof session !== 'object') return
    Read.note(session, { owner: this, key, body, version, isWhole: true, isTaken: false })
  }

  /** Ties `session`, which was made of `read`, if `get` gave that out. */
  tie(session, read) {
    const tie = Read.tieOf(read)
    if (tie?.owner !== this) return
    // Of one object two sessions can be made, which then go ways of their own.
    attach(session, tie.isTaken ? { ...tie } : tie)
    tie.isTaken = true
  }

  /** The tie of `session`, if it is to be written where it was read. */
  of(session, key) {
    const tie = session?.[TIE]
    return tie?.owner === this && tie.key === key ? tie : undefined
  }

  /** Ties `session`, which was new, to what was written. */
  tieNew(session, key, body, version) {
    if (session[TIE] !== undefined || !Object.isExtensible(session)) return
    attach(session, { owner: this, key, body: keep(body), version, isWhole: true, isTaken: true })
  }

  /** Notes that the session of `tie` was written. */
  noteWritten(tie, body, version, isWhole) {
    tie.body = keep(body)
    tie.version = version
    tie.isWhole = isWhole
  }
}

function attach(session, tie) {
  Object.defineProperty(session, TIE, { value: tie, configurable: true, writable: true })
}

/** Bytes are copied: they may lie in a buffer that the serializer uses again. */
function keep(body) {
  if (typeof body === 'string') return body
  return Buffer.isBuffer(body) ? Buffer.from(body) : new Uint8Array(body)
}

module.exports = { Ties }
