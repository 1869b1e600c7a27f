'use strict'

/**
 * What a store has besides its public properties: its options, its engine, what requests have read,
 * and which sessions are watched.
 */

const { toSerialized } = require('./body.js')
const { fail } = require('./deliver.js')
const { closedError, noUsersError, sidError } = require('./errors.js')
const { Sealing } = require('./sealing.js')
const { keyReaders } = require('./sids.js')
const { Ties } = require('./ties.js')
const { ownerReader, userText } = require('./users.js')
const { warnOfKey } = require('./warnings.js')
const { Watches } = require('./watch.js')

class State {
  isOpen = true
  ties = new Ties()
  watches = new Watches(this)
  #hasWarnedOfKey = false

  /**
   * @param options what `store.options` holds
   * @param keys to encrypt sessions with, if they are to be encrypted
   * @param isTelling whether `createSession` will tell which session was made of what was read
   * @param isNew tells whether a session object has never been stored
   */
  constructor(options, keys, isTelling, isNew) {
    this.options = options
    this.isTelling = isTelling
    this.isNew = isNew
    /** Gives whose a session is, as text; undefined without the option `user`. */
    this.ownerOf = ownerReader(options.user)
    this.sealing = keys && new Sealing(keys)
    /** The option `dispose`, for what is stored. */
    this.dispose = this.#disposeOf(options)
    const { keyOf, keyOfNamed } = keyReaders(options.hashSids)
    /** Gives the key of a sid. */
    this.keyOf = keyOf
    /** Gives the key of a sid, or of what `ids` lists. */
    this.keyOfNamed = keyOfNamed
  }

  /** What makes the session of a key what is stored, given the store's serializer. */
  serializerFor(serializer, key) {
    return this.sealing ? this.sealing.serializerFor(serializer, key) : serializer
  }

  #disposeOf({ dispose }) {
    const { sealing } = this
    if (!dispose || !sealing) return dispose
    return (key, body, reason) => {
      const opened = this.#openGone(key, body)
      if (opened !== undefined) dispose(key, opened, reason)
    }
  }

  /**
   * The body of what has left the store; undefined if there is no key for it. Its end is done, so
   * the call that did it must not fail; and often it was no call, but the background thread.
   */
  #openGone(key, body) {
    try {
      return toSerialized(this.sealing.open(key, body))
    } catch (err) {
      if (!this.#hasWarnedOfKey) warnOfKey(err)
      this.#hasWarnedOfKey = true
      return undefined
    }
  }

  assertOpen(method) {
    if (!this.isOpen) throw closedError(method)
  }

  /** The user that is given to a method, as text. */
  userText(method, user) {
    if (this.ownerOf === undefined) throw noUsersError(method)
    return userText(method, user)
  }

  /** Delivers why a call cannot be done: the store is closed, or the sid is not one. */
  refuse(method, sid, fn) {
    return fail(fn, this.isOpen ? sidError(method, sid) : closedError(method))
  }
}

module.exports = { State }
