'use strict'

/** What a store behind a network has done, for `stats`. */

class Counters {
  hits = 0
  misses = 0
  sets = 0
  merges = 0
  refusedWrites = 0
  touches = 0
  cacheHits = 0
  cacheMisses = 0

  /** The figures of the store: its own, and those of its records and their near-cache. */
  with({ sessions, bytes, evictionsByCount, evictionsByBytes, roundTrips, invalidations }) {
    return {
      sessions,
      bytes,
      hits: this.hits,
      misses: this.misses,
      sets: this.sets,
      merges: this.merges,
      refusedWrites: this.refusedWrites,
      touches: this.touches,
      evictionsByCount,
      evictionsByBytes,
      expirations: 0,
      prunes: 0,
      lastPruneMs: 0,
      cacheHits: this.cacheHits,
      cacheMisses: this.cacheMisses,
      invalidations,
      roundTrips,
    }
  }
}

module.exports = { Counters }
