'use strict'

const { REAL } = require('../../lib/timer.js')

module.exports = { hastily, patiently, running, ticks }

/** How much faster they go. */
const FACTOR = 50

let [fired, started, stopped] = [0, 0, 0]

/** Calls `start`; timers that it starts to use real time go that much faster. */
function hastily(start) {
  return withTimers(start, FACTOR)
}

/** Calls `start`; timers that it starts to use real time fire after days. */
function patiently(start) {
  return withTimers(start, 1e-6)
}

function withTimers(start, factor) {
  const before = { ...REAL }
  REAL.setInterval = (fn, period) => {
    started++
    const tick = () => {
      fired++
      fn()
    }
    return setInterval(tick, period / factor)
  }
  REAL.clearInterval = (timer) => {
    stopped++
    clearInterval(timer)
  }
  try {
    return start()
  } finally {
    Object.assign(REAL, before)
  }
}

/** How often such timers have fired. */
function ticks() {
  return fired
}

/** How many of them have not been stopped. */
function running() {
  return started - stopped
}
