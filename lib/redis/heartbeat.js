'use strict'

/**
 * Finds out whether the connections are alive. A half-open connection tells nothing, neither
 * answers nor invalidations: what was read may be served only for a while after the last answer.
 */

const { clearInterval, setImmediate, setInterval } = require('../real.js')
const { silenceError } = require('../errors.js')
const { monotonic } = require('../remote/clock.js')

/** The longest time between two pings, in milliseconds. */
const LONGEST_PERIOD = 1000

class Heartbeat {
  /**
   * When the latest request was sent that was answered: by then, every earlier change was known.
   * A moment of the monotonic clock.
   */
  answeredAt = -Infinity
  #link
  #timeout
  #failed
  #timer
  /** When the ping under way was sent. */
  #sentAt

  /**
   * @param timeout after which a connection that does not answer is replaced, in milliseconds
   * @param maxStale for how long what was read is served after an answer, in milliseconds
   * @param failed is told why a connection is replaced, before it is
   */
  constructor(link, timeout, maxStale, failed) {
    this.#link = link
    this.#timeout = timeout
    this.#failed = failed
    // So that one ping may be late without a pause in what can be served.
    const period = Math.min(LONGEST_PERIOD, timeout / 2, (maxStale || LONGEST_PERIOD) / 3)
    this.#timer = setInterval(() => this.beat(), Math.max(10, period))
    this.#timer.unref()
  }

  /** Notes that a request that was sent then was answered. */
  noteAnswer(sentAt) {
    if (sentAt > this.answeredAt) this.answeredAt = sentAt
  }

  stop() {
    clearInterval(this.#timer)
  }

  beat() {
    const now = monotonic()
    const sentAt = this.#sentAt
    if (sentAt !== undefined) {
      // If the event loop was held up, an answer that has come has to be read first.
      if (now - sentAt >= this.#timeout) setImmediate(() => this.#giveUp(sentAt))
      return
    }
    if (!this.#link.isReady) return
    this.#sentAt = now
    const over = (isAnswered) => {
      // Otherwise it belongs to a connection that was replaced.
      if (this.#sentAt !== now) return
      this.#sentAt = undefined
      if (isAnswered) this.noteAnswer(now)
    }
    this.#link.ping().then(
      () => over(true),
      () => over(false),
    )
  }

  /** Replaces the connection, unless the ping that was sent then was answered. */
  #giveUp(sentAt) {
    if (this.#sentAt !== sentAt) return
    this.#sentAt = undefined
    this.#failed(silenceError(this.#timeout))
    this.#link.reset()
  }
}

module.exports = { Heartbeat }
