'use strict'

/**
 * Ends calls that wait for an answer for too long. While calls wait, a timer keeps the process
 * alive: the sockets do not.
 */

const { setTimeout } = require('../real.js')
const { timeoutError } = require('../errors.js')
const { MAX_DELAY } = require('../timer.js')
const { monotonic } = require('./clock.js')

/** By so many milliseconds a timer is late only if the event loop was held up. */
const HELD_UP = 50

/** How long calls go on waiting then. */
const GRACE = 50

/**
 * A call under way.
 *
 * @typedef {object} Call
 * @property {boolean} isOver whether its result was delivered, so that it need not go on
 */

class Deadlines {
  #timeout
  /** The calls under way; as all have the same time limit, the first one ends first. */
  #calls = new Set()
  #timer
  #whenIdle = []

  /** @param timeout in milliseconds */
  constructor(timeout) {
    this.#timeout = timeout
  }

  /** The result of `work`, or an error if there is none in time. `work` is given its call. */
  run(method, work) {
    return new Promise((resolve, reject) => {
      const call = { method, until: monotonic() + this.#timeout, isOver: false, reject }
      this.#begin(call)
      work(call).then(
        (value) => {
          this.#end(call)
          resolve(value)
        },
        (err) => {
          this.#end(call)
          reject(err)
        },
      )
    })
  }

  /** Waits until no call is under way. */
  idle() {
    if (this.#calls.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #begin(call) {
    this.#calls.add(call)
    if (this.#timer === undefined) this.#arm(this.#timeout)
    else if (this.#calls.size === 1) this.#timer.ref()
  }

  #end(call) {
    call.isOver = true
    if (!this.#calls.delete(call) || this.#calls.size > 0) return
    this.#timer?.unref()
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  #arm(delay) {
    const due = monotonic() + delay
    const check = () => {
      // If the event loop was held up, what waits to be sent and read has its turn first.
      if (monotonic() - due < HELD_UP) this.#check()
      else this.#timer = setTimeout(() => this.#check(), GRACE)
    }
    this.#timer = setTimeout(check, Math.min(Math.max(1, Math.ceil(delay)), MAX_DELAY))
  }

  #check() {
    this.#timer = undefined
    const now = monotonic()
    for (const call of this.#calls) {
      if (call.until > now) {
        this.#arm(call.until - now)
        return
      }
      call.reject(timeoutError(call.method, this.#timeout))
      this.#end(call)
    }
  }
}

module.exports = { Deadlines }
