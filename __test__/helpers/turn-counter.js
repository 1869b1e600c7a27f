'use strict'

/**
 * Counts units of work in each turn of the event loop, until the test `t` ends; `most()` is the most
 * in one.
 */
function turnCounter(t) {
  let [now, most] = [0, 0]
  let next = setImmediate(function tick() {
    now = 0
    next = setImmediate(tick)
  })
  t.teardown(() => clearImmediate(next))
  return {
    add(count) {
      now += count
      most = Math.max(most, now)
    },
    most: () => most,
  }
}

module.exports = { turnCounter }
