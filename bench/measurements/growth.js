'use strict'

/**
 * Growth: what operations and memory cost while the store grows from a thousand sessions to
 * millions, with Node's default flags, so that it shows where a store stops.
 */

const { freemem } = require('node:os')
const harness = require('../harness.js')
const { sessionMaker } = require('../sessions.js')
const { timeOperations } = require('../timing.js')
const { memoryNow, timeCollection } = require('./memory.js')

module.exports = { KINDS: ['get', 'set', 'touch', 'request'] }

/** What a session takes besides its body at most, for the check that memory suffices. */
const OVERHEAD = 600

harness.runAsChild(module, measure)

async function measure(params, tell) {
  const { counts, size, calls } = params
  const make = sessionMaker({ size })
  const levels = []

  return harness.withStore(params, {}, async (opened) => {
    const { store } = opened
    await harness.warmUp(store, make)
    let loaded = 0
    for (const count of counts) {
      if ((count - loaded) * (size + OVERHEAD) > freemem()) {
        throw new Error('not gone on with: too little free memory')
      }
      await harness.load(store, make, loaded, count, tell)
      await harness.check(params.store, store, make, count, loaded)
      loaded = count
      const now = await memoryNow(opened)
      const collection = timeCollection()
      const times = await timeOperations({
        store,
        make,
        count,
        kinds: module.exports.KINDS,
        blocks: 3,
        calls,
        window: harness.WINDOW,
      })
      levels.push({
        count,
        us: each(times, 'us'),
        cpu: each(times, 'cpu'),
        resident: now.resident,
        heap: now.heap,
        collection,
      })
      tell('partial', { levels })
    }
    return { levels }
  })
}

/** One of the times of each kind of operation. */
function each(times, name) {
  return Object.fromEntries(Object.entries(times).map(([kind, time]) => [kind, time[name]]))
}
