'use strict'

/** Calls the option `dispose` for what left the store. */

const { setTimeout } = require('node:timers')
const { toSerialized } = require('./body.js')

/** How many sessions that the background thread removed are disposed of in one turn. */
const BATCH = 500

/** How long to wait before looking what the background thread has removed, in milliseconds. */
const DELAY = 5

class Disposal {
  #native
  #dispose
  #isWaiting = false

  constructor(native, dispose) {
    this.#native = native
    this.#dispose = dispose
  }

  /** Disposes of what the calls so far have removed. */
  ofRemoved() {
    const pairs = []
    this.#native.takeRemoved(pairs)
    this.#disposeOf(pairs)
  }

  /** Disposes of all there is, as the store closes; what prunes removed if `isLast` has it. */
  ofAll(isLast) {
    const pairs = []
    if (isLast) this.#native.takePruned(pairs, Infinity)
    this.#native.takeRemoved(pairs)
    this.#disposeOf(pairs)
  }

  /**
   * Disposes of what a prune in the background removes. The background thread cannot call
   * JavaScript (a ThreadsafeFunction would keep the process alive, and crashes at a worker's end),
   * so this looks what it has removed until it is done or `isOpen` gives false.
   */
  ofPrunedLater(isOpen) {
    if (this.#isWaiting) return
    this.#isWaiting = true
    setTimeout(() => {
      this.#isWaiting = false
      if (!isOpen()) return
      const pairs = []
      const more = this.#native.takePruned(pairs, BATCH)
      // Before dispose, which may throw: nothing would go on then.
      if (more) this.ofPrunedLater(isOpen)
      this.#disposeOf(pairs)
    }, DELAY).unref()
  }

  /** Calls `dispose` for every pair, then throws the first error that one of them threw. */
  #disposeOf(pairs) {
    const dispose = this.#dispose
    const errors = []
    for (let i = 0; i < pairs.length; i += 2) {
      try {
        dispose(pairs[i], toSerialized(pairs[i + 1]))
      } catch (err) {
        errors.push(err)
      }
    }
    if (errors.length > 0) throw errors[0]
  }
}

module.exports = { Disposal }
