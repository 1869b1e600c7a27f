'use strict'

const { inThisRealm } = require('../errors.js')

/** The names of the figures that the native `stats` gives, in its order. */
const STATS = [
  'sessions',
  'bytes',
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
  'lastPruneMs',
]

/** The figures of a native store, by their names. */
function readStats(native) {
  const figures = []
  inThisRealm(() => native.stats(figures))
  return Object.fromEntries(STATS.map((name, i) => [name, figures[i]]))
}

module.exports = { readStats }
