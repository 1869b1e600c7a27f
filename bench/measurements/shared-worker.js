'use strict'

/** One of the processes that use a store at the same time. Started by shared.js. */

const harness = require('../harness.js')
const { openStore } = require('../stores.js')
const { sessionMaker, sidOf, ONE_DAY } = require('../sessions.js')
const timing = require('../timing.js')
const { doAsAsked } = require('../workers.js')

/** For how many calls sessions are picked; they are taken in turn. */
const PICKED = 100000

/** How many sessions are in use while others expire, and how many requests are made at a time. */
const IN_USE = 10000
const BURST = harness.WINDOW

/** Sessions outlive a clock that was moved on by two days. */
const LIFETIME = 100 * ONE_DAY

module.exports = { IN_USE, LIFETIME }

if (require.main === module) main(JSON.parse(process.argv[2]))

function main({ number, store: name, count, size, expires, ...where }) {
  const make = sessionMaker({ size, expires })
  let opened, plan, isWriting
  timing.pickAs(number + 1)

  doAsAsked({
    open: async () => void (opened = await openStore(name, {}, where)),
    close: () => opened.stop(),

    load: () => harness.load(opened.store, make, 0, count),

    check: () => harness.check(name, opened.store, make, count),

    time: ({ ms, kind, window }) => {
      plan ??= timing.planAtRandom({ make, count, calls: Math.min(PICKED, count) })
      return timing.timeFor(ms, { store: opened.store, plan, kind, window })
    },

    loadLive: () => {
      const live = sessionMaker({ size, cookie: 'express', expires: LIFETIME + Date.now() })
      return harness.load(opened.store, live, count, count + IN_USE)
    },

    /** Makes requests that write their session until told to stop; returns how long calls took. */
    write: async () => {
      const live = sessionMaker({ size, cookie: 'express', expires: LIFETIME + Date.now() })
      const sessions = Array.from({ length: 1000 }, (_, n) => live(count + n))
      const held = []
      const timed = (method, ...args) => {
        const begin = performance.now()
        opened.store[method](...args)
        held.push(performance.now() - begin)
      }
      isWriting = true
      while (isWriting) {
        await harness.pump(BURST, BURST, (n, next) => {
          const which = Math.floor(Math.random() * IN_USE)
          const sid = sidOf(count + which)
          timed('get', sid, (err, session) => {
            if (err || !session) return next(err ?? new Error('a session in use was lost'))
            timed(n % 2 === 0 ? 'set' : 'touch', sid, sessions[which % sessions.length], next)
          })
        })
        await harness.pause(1)
      }
      return {
        calls: held.length,
        p99: harness.percentile(held, 0.99),
        'p99.9': harness.percentile(held, 0.999),
        longest: harness.percentile(held, 1),
      }
    },

    stop: () => void (isWriting = false),
  })
}
