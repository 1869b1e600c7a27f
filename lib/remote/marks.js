'use strict'

/**
 * What records are told of a session besides its body, where the options ask for it: whose it is,
 * how many that user may have, and how long it may live at most.
 */

const { parse } = require('../body.js')
const { lifetimeOf, mostOf } = require('../users.js')
const { disposesOf } = require('./disposal.js')

class Marks {
  #state
  /** Without the options there are none. */
  #isOn

  constructor(state) {
    const { user, lifetime } = state.options
    this.#state = state
    this.#isOn = user !== undefined || lifetime !== undefined
  }

  /** How long a session may live from its creation, by the request that writes or touches it. */
  lifetimeOf(session, key) {
    return this.#isOn ? lifetimeOf(this.#state.options, session, key) : Infinity
  }

  /** The mark of a session that is to be written as `body`: whose it is, is what that says. */
  ofWrite(body, lifetime, serializer) {
    if (!this.#isOn) return undefined
    const session = this.#sessionOf(body, serializer)
    const user = session && this.#state.ownerOf(session)
    const most = user === undefined ? Infinity : mostOf(this.#state.options, user, session)
    return { ...this.#common, user, most, lifetime }
  }

  /** The mark of a session that is stored as `body`, and touched: that is refused to nobody. */
  ofTouch(body, lifetime, serializer) {
    if (!this.#isOn) return undefined
    const session = this.#sessionOf(body, serializer)
    const user = session && this.#state.ownerOf(session)
    return { ...this.#common, user, most: Infinity, lifetime }
  }

  /** The session, if it matters whose it is. An empty text counts as none. */
  #sessionOf(body, serializer) {
    if (this.#state.ownerOf === undefined || body.length === 0) return undefined
    return parse(serializer, body)
  }

  get #common() {
    const { options } = this.#state
    return { isRefusing: options.whenFull === 'refuse', wantsEnded: disposesOf(options) }
  }
}

module.exports = { Marks }
