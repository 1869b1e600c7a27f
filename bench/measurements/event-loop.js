'use strict'

/**
 * Event loop: the longest time that one call of a method holds the loop, and the longest gap
 * between two turns of the loop until the method has called back. In milliseconds.
 *
 * Each part fills a store of its own: `calls` (what leaves the sessions alone, then clear),
 * `expired` (prune when all have expired), `close`, `grow` (set from an empty store on), and
 * `background` (checkPeriod finds that all expire at once, while requests for others go on).
 *
 * To make a million sessions expire together, Date.now() is moved on.
 */

const harness = require('../harness.js')
const { sessionMaker, sidOf, ONE_DAY } = require('../sessions.js')

module.exports = { PARTS: ['calls', 'expired', 'close', 'background', 'grow'], grownTo }

const PARTS = { calls, expired, close, background, grow }

harness.runAsChild(module, (params, tell) =>
  harness.withStore(params, {}, ({ store }) => PARTS[params.part](store, params, tell)),
)

/** How often what is quick and leaves the sessions alone is called; the longest counts. */
const REPEATS = 3

async function calls(store, params, tell) {
  await fill(store, params, tell)
  const result = {}
  const measure = async (name, times, invoke) => {
    result[name] = await longestOf(times, invoke)
    tell('partial', result)
  }

  await measure('length', REPEATS, (fn) => store.length(fn))
  if (store.prune) await measure('prune, none expired', REPEATS, (fn) => prune(store, fn))
  if (store.entries) await measure('entries', 1, (fn) => iterate(store, fn))
  if (store.ids) await measure('ids', REPEATS, (fn) => store.ids(fn))
  await measure('all', 1, (fn) => store.all(fn))
  await measure('clear', 1, (fn) => store.clear(fn))
  await expectLength(store, 0)
  return result
}

async function expired(store, params, tell) {
  if (!store.prune) return {}
  await fill(store, params, tell)
  moveClock(2 * ONE_DAY)
  const result = { 'prune, all expired': await longestOf(1, (fn) => prune(store, fn)) }
  await expectLength(store, 0)
  return result
}

async function close(store, params, tell) {
  if (!store.close) return {}
  await fill(store, params, tell)
  return { close: await longestOf(1, (fn) => store.close(fn)) }
}

/** How many calls of set are made in a turn. */
const SETS_A_TURN = 64

async function grow(store, params, tell) {
  const { count, growTo, size } = params
  const make = sessionMaker({ size })
  const result = {}
  let hold = 0
  let gap = 0
  let cpu = 0
  for (let i = 0; i < growTo;) {
    const turns = harness.watchTurns()
    const end = Math.min(growTo, i + 10000)
    for (; i < end; i += SETS_A_TURN) {
      await harness.pump(SETS_A_TURN, SETS_A_TURN, (n, next) => {
        const [sid, session] = [sidOf(i + n), make(i + n)]
        const work = harness.startWork()
        const begin = performance.now()
        store.set(sid, session, next)
        hold = Math.max(hold, performance.now() - begin)
        cpu = Math.max(cpu, work())
      })
    }
    gap = Math.max(gap, turns.stop())
    result[grownTo(i <= count ? count : growTo)] = { hold, gap, cpu }
    if (i % 100000 < 10000) tell('loaded', i)
  }
  return result
}

/** What setting sessions until there are `count` is called in the results. */
function grownTo(count) {
  return `set, growing to ${count.toLocaleString('en')}`
}

/** How many sessions are in use while the others expire. */
const IN_USE = 10000

/** How often a store looks for what has expired, in milliseconds. */
const CHECK_PERIOD = 500

async function background(store, params, tell) {
  if (!store.startInterval) return {}
  await fill(store, params, tell)
  const from = params.count
  const live = sessionMaker({
    size: params.size,
    cookie: 'express',
    expires: Date.now() + 100 * ONE_DAY,
  })
  await harness.load(store, live, from, from + IN_USE)
  await harness.settle()

  store.options.checkPeriod = CHECK_PERIOD
  store.startInterval()
  const { watched } = params
  const before = await underLoad(store, live, from, watched, () => {})
  const during = await underLoad(store, live, from, watched, () => moveClock(2 * ONE_DAY))
  store.stopInterval()
  await expectLength(store, IN_USE)
  return { 'requests, nothing expires': before, 'requests, background prune': during }
}

/** Makes requests for the sessions in use, for `watched` milliseconds after `begin()`. */
async function underLoad(store, make, from, watched, begin) {
  const sessions = Array.from({ length: 1000 }, (_, n) => make(from + n))
  const turns = harness.watchTurns()
  const end = performance.now() + watched
  let hold = 0
  const timed = (method, ...args) => {
    const start = performance.now()
    store[method](...args)
    hold = Math.max(hold, performance.now() - start)
  }
  begin()
  while (performance.now() < end) {
    await harness.pump(harness.WINDOW * 10, harness.WINDOW, (n, next) => {
      const which = Math.floor(Math.random() * IN_USE)
      const sid = sidOf(from + which)
      timed('get', sid, (err, session) => {
        if (err || !session) next(err ?? new Error('a session in use was lost'))
        else timed('touch', sid, sessions[which % sessions.length], next)
      })
    })
  }
  return { hold, gap: turns.stop() }
}

async function fill(store, { store: name, count, size }, tell) {
  const make = sessionMaker({ size })
  await harness.load(store, make, 0, count, tell)
  await harness.check(name, store, make, count)
  await harness.settle()
}

/** Calls `invoke(fn)` a few times and returns the longest hold and the longest gap. */
async function longestOf(times, invoke) {
  let hold = 0
  let gap = 0
  for (let n = 0; n < times; n++) {
    globalThis.gc()
    await harness.turn()
    const turns = harness.watchTurns()
    await harness.turn()
    await new Promise((resolve, reject) => {
      const begin = performance.now()
      invoke((err) => (err ? reject(err) : resolve()))
      hold = Math.max(hold, performance.now() - begin)
    })
    gap = Math.max(gap, turns.stop())
  }
  return { hold, gap }
}

/** memorystore's prune takes no callback: it is done when it returns. */
function prune(store, fn) {
  store.prune(fn)
  if (store.prune.length === 0) setImmediate(fn, null)
}

async function iterate(store, fn) {
  try {
    const iterator = store.entries()[Symbol.asyncIterator]()
    while (!(await iterator.next()).done);
    fn(null)
  } catch (err) {
    fn(err)
  }
}

async function expectLength(store, expected) {
  const length = await harness.call(store, 'length')
  if (length !== expected) throw new Error(`${length} sessions are left instead of ${expected}`)
}

function moveClock(ms) {
  const now = Date.now
  Date.now = () => now() + ms
}
