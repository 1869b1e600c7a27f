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

/** Those that it gives besides if the store knows whose sessions are. */
const USER_STATS = ['anonymous', 'evictionsOfUsers']

/** The figures of a native store, by their names. */
function readStats(native) {
  const figures = []
  inThisRealm(() => native.stats(figures))
  const names = figures.length > STATS.length ? [...STATS, ...USER_STATS] : STATS
  return Object.fromEntries(names.map((name, i) => [name, figures[i]]))
}

module.exports = { readStats }
