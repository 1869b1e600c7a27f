'use strict'

/**
 * Makes the clock by which a store on a server measures go with the date, which tests fake. To be
 * loaded before the package is.
 */

const clock = require('../../lib/remote/clock.js')

/** So that fractions of milliseconds have room in a number. */
const START = Date.now()

let latest = 0
let reads = 0

clock.monotonic = () => {
  const now = Date.now()
  reads = now === latest ? reads + 1 : 0
  latest = now
  // No two moments are the same.
  return now - START + reads * 1e-4
}
