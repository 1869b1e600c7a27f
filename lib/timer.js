'use strict'

/**
 * The timers behind `checkPeriod` and `syncPeriod`. They keep neither the process nor its store
 * alive.
 *
 * They are JavaScript timers, not the native thread's, so that fake timers control `checkPeriod` as
 * in memorystore, and `Date.now()` decides what has expired. Fake time means nothing to a disk, so
 * `syncPeriod` uses real timers.
 */

const { clearInterval, setInterval } = require('./real.js')

/** Node fires at once, over and over, if a delay is longer than this. */
const MAX_DELAY = 2 ** 31 - 1

/** Fake timers do not affect these. */
const REAL = { setInterval, clearInterval }

/** Stops the timers of stores that were garbage-collected. */
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
  // A timer that fake timers started has to be stopped by them, even if they are gone by then.
  const { setInterval, clearInterval } = timers
  const timer = setInterval(lapse, Math.floor(period / laps))
  // A fake timer may be a number.
  timer.unref?.()

  dropped.register(target, () => clearInterval(timer), weak)
  const stop = () => {
    clearInterval(timer)
    dropped.unregister(weak)
  }
  return { timer, stop }
}

module.exports = { every, MAX_DELAY, REAL }
