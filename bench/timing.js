'use strict'

/**
 * The calls that are timed: what each kind of operation does, for which sessions, and what it takes
 * on the clock and of the processor.
 */

const { call, pump, pumpFor, WINDOW } = require('./harness.js')
const { sidOf, CYCLE } = require('./sessions.js')

module.exports = { timeOperations, timeFor, pickAs, planAtRandom }

/**
 * Times each of `kinds` in blocks that take turns. Returns for each the microseconds of a call, `us`
 * on the clock and `cpu` of the processors: of all threads of this process, so with V8's collectors
 * and the threads of a store. Sids and sessions are made before the clock starts, and the young generation is collected,
 * so that the harness's own garbage is not counted. A block's time ends with its last callback.
 *
 * @param {object} plan `count` sessions are in `store`, made by `make`; `longer` makes longer ones;
 *   `blocks` of `calls` each, with `window` in flight
 */
async function timeOperations({ store, make, longer, count, kinds, blocks, calls, window }) {
  const sums = Object.fromEntries(kinds.map((kind) => [kind, { us: 0, cpu: 0, calls: 0 }]))
  const pool = { same: poolOf(make, calls), longer: longer && poolOf(longer, calls) }
  // The first block warms up and is not counted.
  for (let block = -1; block < blocks; block++) {
    for (const kind of kinds) {
      const { prepare, before, start, after } = OPERATIONS[kind]
      const plan = prepare({ pool, count, calls, block, blocks })
      await before?.(store, plan)
      globalThis.gc?.({ type: 'minor' })
      const clock = startClock()
      await pump(plan.sids.length, window, (n, next) => start(store, plan, n, next))
      const { us, cpu } = clock()
      await after?.(store, plan)
      if (block < 0) continue
      sums[kind].us += us
      sums[kind].cpu += cpu
      sums[kind].calls += plan.sids.length
    }
  }
  return Object.fromEntries(kinds.map((kind) => [kind, ofCall(sums[kind])]))
}

/** Returns a function that tells the microseconds since, on the clock and of the processors. */
function startClock() {
  const cpuBefore = process.cpuUsage()
  const begin = process.hrtime.bigint()
  return () => {
    const us = Number(process.hrtime.bigint() - begin) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    return { us, cpu: user + system }
  }
}

function ofCall({ us, cpu, calls }) {
  return { us: us / calls, cpu: cpu / calls }
}

/**
 * Makes calls of the `kind` for `ms` milliseconds, for sessions that `plan` picked; returns how
 * many there were and how long they took.
 */
async function timeFor(ms, { store, plan, kind, window }) {
  const { start } = OPERATIONS[kind]
  const { length } = plan.sids
  globalThis.gc?.({ type: 'minor' })
  const begin = performance.now()
  const calls = await pumpFor(ms, window, (n, next) => start(store, plan, n % length, next))
  return { calls, ms: performance.now() - begin }
}

const OPERATIONS = {
  get: {
    prepare: existing,
    start: (store, { sids }, n, next) =>
      store.get(sids[n], (err, session) => next(err ?? lost(session))),
  },
  set: {
    prepare: existing,
    start: (store, { sids, sessions }, n, next) => store.set(sids[n], sessions[n], next),
  },
  'set, growing': {
    prepare: growing,
    start: (store, { sids, sessions }, n, next) => store.set(sids[n], sessions[n], next),
  },
  'set, new sid': {
    prepare: added,
    start: (store, { sids, sessions }, n, next) => store.set(sids[n], sessions[n], next),
    after: (store, { sids }) =>
      pump(sids.length, WINDOW, (n, next) => store.destroy(sids[n], next)),
  },
  // The second of two requests that changed the same session. Only for stores that merge.
  'set, merging': {
    prepare: existing,
    before: async (store, plan) => {
      plan.sessions = []
      for (const [n, sid] of plan.sids.entries()) {
        const [first, second] = [await request(store, sid), await request(store, sid)]
        first.first = n
        await call(store, 'set', sid, first)
        second.second = n
        plan.sessions.push(second)
      }
    },
    start: (store, { sids, sessions }, n, next) => store.set(sids[n], sessions[n], next),
  },
  touch: {
    prepare: existing,
    start: (store, { sids, sessions }, n, next) => store.touch(sids[n], sessions[n], next),
  },
  request: {
    prepare: existing,
    start: (store, { sids, sessions }, n, next) =>
      store.get(sids[n], (err, session) => {
        const error = err ?? lost(session)
        if (error) next(error)
        else store.touch(sids[n], sessions[n], next)
      }),
  },
}

/** The session that a request gets, as express-session makes it. */
async function request(store, sid) {
  return store.createSession({ sessionID: sid }, await call(store, 'get', sid))
}

function lost(session) {
  return session ? null : new Error('a session that was set is not there')
}

let seed = 1

/** Has this process pick other sessions than those with another number. */
function pickAs(number) {
  seed = Math.imul(number, 0x9e3779b9) >>> 0
}

/** What calls are made for: sessions picked at random. */
function planAtRandom({ make, count, calls }) {
  return existing({ pool: { same: poolOf(make, calls) }, count, calls })
}

/** Sessions picked at random, to get other content of the same length. */
function existing({ pool, count, calls }) {
  const picked = Array.from({ length: calls }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * count)
  })
  return planOf(picked, pool.same)
}

/** Sessions that no earlier block made longer. */
function growing({ pool, count, calls, block, blocks }) {
  const stride = blocks + 1
  const length = Math.min(calls, Math.floor(count / stride))
  const apart = Math.floor(count / stride / length) * stride
  const numbers = Array.from({ length }, (_, n) => n * apart + block + 1)
  return planOf(numbers, pool.longer)
}

/** Sessions that are not in the store. */
function added({ pool, count, calls, block }) {
  const length = Math.min(calls, count)
  const from = count + (block + 1) * length
  const numbers = Array.from({ length }, (_, n) => from + n)
  return planOf(numbers, pool.same)
}

/** For each sid a session of the pool that is of the same shape as the one that is in the store. */
function planOf(numbers, sessions) {
  const at = (number, n) => (n * CYCLE + (number % CYCLE)) % sessions.length
  return {
    sids: numbers.map(sidOf),
    sessions: numbers.map((number, n) => sessions[at(number, n)]),
  }
}

/** How many different sessions the calls of a block take in turn: a multiple of `CYCLE`. */
const POOL = 100 * CYCLE

/** Sessions as if they had been read from a store: V8 joins the strings of a new one lazily. */
function poolOf(make, calls) {
  return Array.from({ length: Math.min(POOL, calls) }, (_, n) => {
    const session = make(n, 1)
    return { ...JSON.parse(JSON.stringify(session)), cookie: session.cookie }
  })
}
