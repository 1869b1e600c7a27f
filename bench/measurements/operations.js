'use strict'

/**
 * Operations: microseconds of a call, on the clock and of the processors, at a number of sessions,
 * with various numbers of calls in flight. With Redis also one call at a time, which is what a
 * lightly loaded server waits for.
 */

const harness = require('../harness.js')
const { longerMaker, sessionMaker } = require('../sessions.js')
const { REDIS } = require('../stores.js')
const { timeOperations } = require('../timing.js')

module.exports = {
  KINDS: ['get', 'set', 'set, growing', 'set, new sid', 'touch', 'request'],
  /** How many calls are in flight: a server with some traffic, and one with very much. */
  WINDOWS: [harness.WINDOW, 512],
}

harness.runAsChild(module, measure)

async function measure(params, tell) {
  const { count, blocks, calls, windows = [harness.WINDOW] } = params
  const { kinds = module.exports.KINDS } = params
  const make = sessionMaker(params)

  return harness.withStore(params, {}, async ({ store }) => {
    await harness.load(store, make, 0, count, tell)
    await harness.check(params.store, store, make, count)
    const plan = { store, make, longer: longerMaker(params), count, blocks }

    const result = {}
    for (const window of windows) {
      result[window] = await timeOperations({ ...plan, kinds: left(kinds, result), calls, window })
    }
    if (params.store === REDIS) {
      const few = Math.ceil(calls / 20)
      result[1] = await timeOperations({
        ...plan,
        kinds: left(kinds, result),
        calls: few,
        window: 1,
      })
    }
    return result
  })
}

/** The kinds that can be measured again: what grows has grown already. */
function left(kinds, result) {
  const isFirst = Object.keys(result).length === 0
  return isFirst ? kinds : kinds.filter((kind) => kind !== 'set, growing')
}
