'use strict'

/**
 * Operations: microseconds of a call, at a number of sessions. With Redis also one call at a time,
 * which is what a lightly loaded server waits for.
 */

const harness = require('../harness.js')
const { REDIS } = require('../stores.js')

module.exports = { KINDS: ['get', 'set', 'set, growing', 'set, new sid', 'touch', 'request'] }

harness.runAsChild(module, measure)

async function measure(params, tell) {
  const { count, size, cookie, blocks, calls } = params
  const make = harness.sessionMaker({ size, cookie })
  const grow = harness.sessionMaker({ size: Math.round(size * 1.25), cookie })

  return harness.withStore(params, {}, async ({ store }) => {
    await harness.load(store, make, 0, count, tell)
    await harness.check(params.store, store, make, count)
    const plan = { store, make, grow, count, blocks }
    const { kinds = module.exports.KINDS } = params

    const result = {
      us: await harness.timeOperations({ ...plan, kinds, calls, window: harness.WINDOW }),
    }
    if (params.store === REDIS) {
      // What grows has grown already.
      const alone = kinds.filter((kind) => kind !== 'set, growing')
      const few = Math.ceil(calls / 20)
      result.alone = await harness.timeOperations({
        ...plan,
        kinds: alone,
        calls: few,
        window: 1,
      })
    }
    return result
  })
}
