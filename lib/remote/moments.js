'use strict'

/** Remembers a moment for each of the latest keys, in bounded memory. */

class Moments {
  #limit
  #moments = new Map()

  constructor(limit) {
    this.#limit = limit
  }

  /** The moment of a key; -Infinity if none is remembered. */
  of(key) {
    return this.#moments.get(key) ?? -Infinity
  }

  note(key, moment) {
    this.#moments.delete(key)
    this.#moments.set(key, moment)
    if (this.#moments.size <= this.#limit) return
    const [oldest] = this.#moments.keys()
    this.#moments.delete(oldest)
  }

  forget(key) {
    this.#moments.delete(key)
  }
}

module.exports = { Moments }
