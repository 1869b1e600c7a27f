'use strict'

/** Figures and rules that all records behind a network share. */

/** How long a destroyed sid is remembered, in milliseconds. */
const TOMBSTONE = 10 * 60 * 1000

/**
 * How far two expiries may differ and still count as the same, in milliseconds: one is told by a
 * server, or by a cookie that was renewed while the clock went on.
 */
const TOLERANCE = 1000

/**
 * After so many attempts, each beaten by another write, what is stored is overwritten. No realistic
 * number of processes causes this, but a server that gives back other text than it was given would
 * make the loop endless.
 */
const MAX_ATTEMPTS = 100

/** Whether a destroyed sid refuses all writes for a while. */
function isFinal({ destroyed }) {
  return destroyed === 'final'
}

module.exports = { isFinal, MAX_ATTEMPTS, TOLERANCE, TOMBSTONE }
