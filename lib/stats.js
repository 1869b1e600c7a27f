'use strict'

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

module.exports = { STATS }
