'use strict'

/** Calls the option `dispose` for what left the store. */

const { setTimeout } = require('../real.js')
const { disposeOfEach } = require('../dispose.js')

/** Why something is gone, in the order of the numbers that the native store gives for it. */
const REASONS = ['expired', 'evicted', 'destroyed', 'limit', 'cleared', 'replaced', 'closed']

/** How long to wait before fetching what the background thread has removed, in milliseconds. */
const DELAY = 5

class Disposal {
  #native
  #dispose
  #isWaiting = false

  constructor(native, dispose) {
    this.#native = native
    this.#dispose = dispose
  }

  /** Disposes of what was removed so far: a few hundred now, the rest later. */
  ofRemoved() {
    const gone = []
    const hasMore = this.#native.takeRemoved(gone)
    // Before dispose, which may throw: nothing would go on then.
    if (hasMore) this.later()
    for (let i = 2; i < gone.length; i += 3) gone[i] = REASONS[gone[i]]
    disposeOfEach(this.#dispose, gone)
  }

  /**
   * Disposes of what the background thread has removed, a moment later. That thread cannot call
   * JavaScript: a ThreadsafeFunction would keep the process alive, and crashes at a worker's end.
   */
  later() {
    if (this.#isWaiting) return
    this.#isWaiting = true
    setTimeout(() => {
      this.#isWaiting = false
      this.ofRemoved()
    }, DELAY).unref()
  }
}

module.exports = { Disposal }
