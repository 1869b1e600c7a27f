'use strict'

/**
 * When a link connects again. The libraries could do it by themselves, but their timers keep a
 * process alive for as long as the server is gone; these do not.
 */

const { clearTimeout, setTimeout } = require('../../real.js')

/** The delays in milliseconds. */
const [FIRST, LONGEST] = [25, 1000]

class Retry {
  #delay = FIRST
  #timer

  /** Calls `connect` after the next delay, unless it waits already. */
  later(connect) {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      connect()
    }, jittered(this.#delay))
    this.#timer.unref()
    this.#delay = Math.min(2 * this.#delay, LONGEST)
  }

  /** The connection is there: the next delay is short. */
  succeeded() {
    this.#delay = FIRST
  }

  stop() {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/** Processes that lost the same server do not come back all at once. */
function jittered(delay) {
  return delay * (0.5 + Math.random() / 2)
}

module.exports = { Retry }
