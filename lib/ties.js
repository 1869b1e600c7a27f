'use strict'

/**
 * Remembers what a request read: the base version, with which its later writes are compared.
 * express-session passes each session that it loaded, and no other, to `createSession`. There the
 * Session object is tied to what was read.
 */

const { bodyCopy } = require('./body.js')

/**
 * What a session object was made of, or what it was last written as.
 *
 * @typedef {object} Tie
 * @property {object} owner the ties of the store that it belongs to
 * @property {string} key under which it is stored
 * @property {string | Uint8Array | PackedBody} body as the serializer returned it, or packed
 * @property {number | object} version at which it was read or written, in the terms of the engine
 * @property {number | undefined} created when the session was created, if it has a `lifetime`
 * @property {boolean} isWhole whether exactly this was stored then, with nothing merged into it
 * @property {boolean} isTaken whether a session has this tie
 */

/**
 * The property that holds the tie of a session. It is not enumerable, so nothing that lists the
 * properties finds it. It is a property, so that a Proxy of the session has it too.
 */
const TIE = Symbol('memorystore-rs')

/** A constructor that gives back its argument, so that the fields of its subclass land there. */
class Return {
  constructor(object) {
    return object
  }
}

/**
 * What `get` returned, with its tie in a private field. Nothing can see the field, and it costs
 * next to nothing. A WeakMap costs a third of a `get`, because the collector has to visit it.
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

/** The ties of objects that cannot get a field: a `parse` may return frozen ones. */
const frozen = new WeakMap()

class Ties {
  /** Notes that `get` gives out `session`. */
  noteRead(session, key, body, version, created) {
    if (session === null || typeof session !== 'object') return
    const made = { owner: this, key, body, version, created, isWhole: true, isTaken: false }
    Read.note(session, made)
  }

  /** Ties `session`, which was made of `read`, if `read` is what `get` gave out. */
  tie(session, read) {
    const tie = Read.tieOf(read)
    if (tie?.owner !== this) return
    // Two sessions can be made of one object. From then on each has a tie of its own.
    attach(session, tie.isTaken ? { ...tie } : tie)
    tie.isTaken = true
  }

  /** The tie of `session`, if that was read from this store under `key`. */
  of(session, key) {
    const tie = session?.[TIE]
    return tie?.owner === this && tie.key === key ? tie : undefined
  }

  /** Ties `session`, which was new, to what was written. */
  tieNew(session, key, body, version, created) {
    if (session[TIE] !== undefined || !Object.isExtensible(session)) return
    attach(session, {
      owner: this,
      key,
      body: bodyCopy(body),
      version,
      created,
      isWhole: true,
      isTaken: true,
    })
  }

  /** Notes that the session of `tie` was written. */
  noteWritten(tie, body, version, isWhole) {
    tie.body = bodyCopy(body)
    tie.version = version
    tie.isWhole = isWhole
  }
}

function attach(session, tie) {
  Object.defineProperty(session, TIE, { value: tie, configurable: true, writable: true })
}

module.exports = { Ties }
