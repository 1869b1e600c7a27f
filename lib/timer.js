'use strict'

/**
 * The timers behind `checkPeriod` and `syncPeriod`: they keep neither the process nor its store alive.
 *
 * They are JavaScript timers, and not the native thread's, so that fake timers rule `checkPeriod`
 * as they rule memorystore's, and so that `Date.now()` says what has expired. A disk knows of no
 * fake time, so `syncPeriod` goes by real ones.
 */

const { clearInterval, setInterval } = require('node:timers')

/** Node fires at once, over and over, where a delay is longer than this. */
const MAX_DELAY = 2 ** 31 - 1

/** Those that nobody can fake. */
const REAL = { setInterval, clearInterval }

/** Stops the timers of stores that were collected. */
const dropped = new FinalizationRegistry((stop) => stop())

/**
 * Calls `tick(target)` every `period` milliseconds until `stop` is called or `target` is
 * collected. Returns the `timer`, as setInterval made it, and `stop`.
 *
 * @param {object} [timers] whose setInterval and clearInterval: those of the moment, or `REAL`
 */
function every(period, target, tick, timers = globalThis) {
  const weak = new WeakRef(target)
  const laps = Math.ceil(period / MAX_DELAY)
  let lap = 0
  const lapse = () => {
    lap = (lap + 1) % laps
    const held = weak.deref()
    if (lap === 0 && held !== undefined) tick(held)
  }
  // What fake timers start they have to stop, whoever rules by then.
  const { setInterval, clearInterval } = timers
  const timer = setInterval(lapse, Math.floor(period / laps))
  // Fake timers may be numbers.
  timer.unref?.()

  dropped.register(target, () => clearInterval(timer), weak)
  const stop = () => {
    clearInterval(timer)
    dropped.unregister(weak)
  }
  return { timer, stop }
}

module.exports = { every, REAL }
