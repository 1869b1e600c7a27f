'use strict'

/**
 * Dropped stores: what a process takes after thousands of stores, each with a session, were made and
 * dropped without being closed. In megabytes.
 */

const harness = require('../harness.js')
const { sessionMaker, sidOf } = require('../sessions.js')
const { OURS, STORES } = require('../stores.js')

harness.runAsChild(module, measure)

/** How many stores are made in a turn of the event loop. */
const A_TURN = 100

async function measure({ store = OURS, count = 10_000, size = 400 }) {
  const make = sessionMaker({ size })
  const openOne = (n) => STORES[store].open({}, {}).set(sidOf(n), make(n), () => {})
  openOne(0)
  await harness.settle()
  const before = megabytes()
  let most = 0
  for (let n = 0; n < count; n += A_TURN) {
    for (let i = 0; i < A_TURN; i++) openOne(n + i)
    await harness.turn()
    most = Math.max(most, megabytes())
  }
  await harness.settle()
  return { before, most, after: megabytes() }
}

function megabytes() {
  return process.memoryUsage.rss() / 2 ** 20
}
