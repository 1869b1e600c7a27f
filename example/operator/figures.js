'use strict'

/** The figures of one process since it was last asked: what the store tells, and its pauses. */

const { monitorEventLoopDelay } = require('node:perf_hooks')

/** What `store.stats()` counts from the beginning. Not all stores have the last one. */
const COUNTS = [
  'hits',
  'misses',
  'sets',
  'merges',
  'refusedWrites',
  'touches',
  'evictionsByCount',
  'evictionsByBytes',
  'expirations',
  'prunes',
  'evictionsOfUsers',
]

/** How exactly pauses are measured, in milliseconds. */
const RESOLUTION = 10

module.exports = { COUNTS, createFigures }

/** Returns a function that takes the figures of `store` each time it is called. */
function createFigures(store) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION })
  delay.enable()
  let before = store.stats()

  return () => {
    const stats = store.stats()
    const counts = {}
    for (const name of COUNTS) {
      if (stats[name] !== undefined) counts[name] = stats[name] - before[name]
    }
    before = stats
    const pause = Math.max(0, delay.max / 1e6 - RESOLUTION)
    delay.reset()
    const { sessions, anonymous, bytes, lastPruneMs } = stats
    return {
      counts,
      gauges: { sessions, anonymous, bytes },
      pauses: { pause, prune: counts.prunes > 0 ? lastPruneMs : 0 },
    }
  }
}
