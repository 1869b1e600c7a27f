'use strict'

/**
 * Memory: resident bytes of the process and bytes of the V8 heap for each session, and how long a
 * full garbage collection takes while all of them are alive.
 */

const harness = require('../harness.js')
const { sessionMaker } = require('../sessions.js')

module.exports = { memoryNow, timeCollection }

harness.runAsChild(module, measure)

async function measure(params, tell) {
  const { count } = params
  const make = sessionMaker(params)

  return harness.withStore(params, {}, async (opened) => {
    const { store } = opened
    await harness.warmUp(store, make)
    const before = await memoryNow(opened)

    await harness.load(store, make, 0, count, tell)
    const after = await memoryNow(opened)
    const collection = timeCollection()
    await harness.check(params.store, store, make, count)

    return {
      resident: (after.resident - before.resident) / count,
      heap: (after.heap - before.heap) / count,
      collection,
    }
  })
}

/** The bytes in use now: those of the server where there is one. */
async function memoryNow({ serverMemory }) {
  await harness.settle()
  const { rss, heapUsed } = process.memoryUsage()
  return { resident: serverMemory ? await serverMemory() : rss, heap: heapUsed }
}

/** The median time of a full garbage collection, in milliseconds. */
function timeCollection() {
  const times = Array.from({ length: 5 }, () => {
    const begin = performance.now()
    globalThis.gc()
    return performance.now() - begin
  })
  return harness.percentile(times, 0.5)
}
