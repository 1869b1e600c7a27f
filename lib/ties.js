'use strict'

/**
 * Remembers what a request read, so that what it writes can be compared with what is stored by
 * then. express-session hands each session that it loaded, and no other, to `createSession`: that
 * is where the Session object is tied to what was read.
 *
 * Nothing is added to the objects, and nothing is kept longer than they are.
 */

/**
 * What a session object was made of, or written as last.
 *
 * @typedef {object} Tie
 * @property {string} key under which it is stored
 * @property {string | Uint8Array} body as the serializer returned it
 * @property {number} version of the record that was read or written
 * @property {boolean} isWhole whether that record has this body and nothing that was merged in
 */

class Ties {
  /** The ties of what `get` gave out, by the object that it gave. */
  #read = new WeakMap()
  /** The ties of the sessions that were made of those. */
  #sessions = new WeakMap()

  /** Notes that `get` gives out `session`. */
  noteRead(session, key, body, version) {
    if (session === null || typeof session !== 'object') return
    this.#read.set(session, { key, body, version, isWhole: true })
  }

  /** Ties `session`, which was made of `read`, if `get` gave that out. */
  tie(session, read) {
    const tie = this.#read.get(read)
    if (tie) this.#sessions.set(session, { ...tie })
  }

  /** The tie of `session`, if it is to be written where it was read. */
  of(session, key) {
    const tie = this.#sessions.get(session)
    return tie?.key === key ? tie : undefined
  }

  /** Notes that `session` was written. */
  noteWritten(session, key, body, version, isWhole) {
    this.#sessions.set(session, { key, body: keep(body), version, isWhole })
  }
}

/** Bytes are copied: they may lie in a buffer that the serializer uses again. */
function keep(body) {
  if (typeof body === 'string') return body
  return Buffer.isBuffer(body) ? Buffer.from(body) : new Uint8Array(body)
}

module.exports = { Ties }
