'use strict'

/**
 * The writes of this process to one session, one after the other. Each hands on what it has left
 * stored, so that the next one need not be refused to learn of it.
 */

class Turns {
  /** For each key that is being written, the promise of what its last write will leave. */
  #last = new Map()

  /**
   * Runs `work` when the writes before are done. It is given what they have left stored, and
   * returns what it leaves itself; undefined where that is not known.
   */
  run(key, work) {
    const before = this.#last.get(key)
    const left = before === undefined ? work(undefined) : before.then(work)
    const known = left.catch(nothing)
    this.#last.set(key, known)
    known.then(() => {
      if (this.#last.get(key) === known) this.#last.delete(key)
    })
    return left
  }
}

function nothing() {
  return undefined
}

module.exports = { Turns }
