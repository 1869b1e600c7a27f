'use strict'

/**
 * What all measurements share: how a measurement runs as a child process, how calls are kept in
 * flight and timed, how a store is filled and checked, and how the event loop is watched.
 */

const assert = require('node:assert/strict')
const { openStore, FLOOR } = require('./stores.js')
const { sidOf, sessionMaker } = require('./sessions.js')

/** How many calls are in flight while operations are timed: a server with some traffic. */
const WINDOW = 32

/** How many calls are in flight while a store is filled. */
const LOAD_WINDOW = 512

/** After how many sessions the filling of a store tells how far it is. */
const LOAD_STEP = 100000

/**
 * Runs `measure(params, tell)` when `module` is a process's main file. The parameters are the
 * first argument, as JSON. What it returns goes to the runner, or to stdout if there is none;
 * `tell(kind, value)` sends what is known so far: `loaded`, a number of sessions, or `partial`, a
 * result that stands if the process dies before the end.
 */
function runAsChild(module, measure) {
  if (require.main !== module) return
  const params = JSON.parse(process.argv[2] ?? '{}')
  process.once('disconnect', () => process.exit(1))
  const tell = (kind, value) => process.send?.({ kind, value })
  const finish = (kind, value) => {
    if (!process.send) {
      console.log(JSON.stringify({ [kind]: value }, null, 2))
      process.exit()
    }
    process.send({ kind, value }, () => process.exit())
  }
  measure(params, tell).then(
    (result) => finish('result', result),
    (error) => finish('failed', `${error.name}: ${error.message}`.split('\n')[0]),
  )
}

/** Opens the store that `params` names, gives it to `use`, and closes it. */
async function withStore(params, options, use) {
  const opened = await openStore(params.store, options, params)
  try {
    return await use(opened)
  } finally {
    await opened.stop()
  }
}

/**
 * Makes `count` calls with at most `window` of them in flight: `start(n, next)` begins the n-th
 * and passes `next` on as its callback. Resolves when the last has called back.
 */
function pump(count, window, start) {
  return new Promise((resolve, reject) => {
    let started = 0
    let finished = 0
    const next = (err) => {
      if (err) return reject(err)
      finished++
      if (started < count) start(started++, next)
      else if (finished === count) resolve()
    }
    if (count === 0) resolve()
    for (const end = Math.min(window, count); started < end;) start(started++, next)
  })
}

/** As `pump`, for `ms` milliseconds or `most` calls. Resolves with the number of calls. */
function pumpFor(ms, window, start, most = Infinity) {
  return new Promise((resolve, reject) => {
    const end = performance.now() + ms
    let started = 0
    let finished = 0
    let isOver = false
    const next = (err) => {
      if (err) return reject(err)
      finished++
      if (finished % window === 0) isOver ||= performance.now() >= end
      if (!isOver && started < most) start(started++, next)
      else if (finished === started) resolve(finished)
    }
    while (started < Math.min(window, most)) start(started++, next)
  })
}

/** Sets the sessions from number `from` to before `to`. */
async function load(store, make, from, to, tell = () => {}) {
  for (let start = from; start < to; start += LOAD_STEP) {
    const count = Math.min(LOAD_STEP, to - start)
    await pump(count, LOAD_WINDOW, (n, next) => store.set(sidOf(start + n), make(start + n), next))
    tell('loaded', start + count)
  }
}

const WARM_UP = { sessions: 2000, times: 10 }

/** Lets sessions come and go, until V8 has compiled what it will and has the pages that it needs. */
async function warmUp(store, make) {
  const { sessions, times } = WARM_UP
  for (let n = 0; n < times; n++) await load(store, make, 0, sessions)
  await pump(sessions, LOAD_WINDOW, (n, next) => store.destroy(sidOf(n), next))
}

/** How many of the sessions are compared before anything is timed. */
const CHECKED = 500

/**
 * Checks that a store does its work: what was set comes back, what was not set does not, touch
 * leaves all but the cookie alone, and what was destroyed is gone. The sessions from number `from`
 * to before `count` are there as `make` makes them. The floor keeps nothing and is not checked.
 */
async function check(name, store, make, count, from = 0) {
  if (name === FLOOR) return
  const step = Math.max(1, Math.floor((count - from) / CHECKED))
  for (let i = from; i < count; i += step) {
    assert.deepEqual(plain(await call(store, 'get', sidOf(i))), plain(make(i)), `session ${i}`)
  }
  const [sid, session] = [sidOf(count), make(count)]
  assert.ok(!(await call(store, 'get', sid)), 'a session that was never set was found')
  await call(store, 'set', sid, session)
  await call(store, 'touch', sid, make(count, 1))
  assert.deepEqual(body(await call(store, 'get', sid)), body(session), 'touch changed the session')
  await call(store, 'destroy', sid)
  assert.ok(!(await call(store, 'get', sid)), 'a destroyed session was found')
}

function plain(session) {
  return JSON.parse(JSON.stringify(session))
}

function body(session) {
  return { ...plain(session), cookie: undefined }
}

/** Calls a method with a callback and returns a promise of its result. */
function call(store, method, ...args) {
  return new Promise((resolve, reject) => {
    store[method](...args, (err, value) => (err ? reject(err) : resolve(value)))
  })
}

/**
 * Times each of `kinds` in blocks that take turns, and returns for each the microseconds of a
 * call. Sids and sessions are made before the clock starts, and the young generation is collected,
 * so that the harness's own garbage is not counted. A block's time ends with its last callback.
 *
 * @param {object} plan `count` sessions are in `store`, made by `make`; `grow` makes longer ones;
 *   `blocks` of `calls` each, with `window` in flight
 */
async function timeOperations({ store, make, grow, count, kinds, blocks, calls, window }) {
  const sums = Object.fromEntries(kinds.map((kind) => [kind, { ns: 0, calls: 0 }]))
  const pool = { same: poolOf(make, calls), longer: grow && poolOf(grow, calls) }
  // The first block warms up and is not counted.
  for (let block = -1; block < blocks; block++) {
    for (const kind of kinds) {
      const { prepare, before, start, after } = OPERATIONS[kind]
      const plan = prepare({ pool, count, calls, block, blocks })
      await before?.(store, plan)
      globalThis.gc?.({ type: 'minor' })
      const begin = process.hrtime.bigint()
      await pump(plan.sids.length, window, (n, next) => start(store, plan, n, next))
      const ns = Number(process.hrtime.bigint() - begin)
      await after?.(store, plan)
      if (block < 0) continue
      sums[kind].ns += ns
      sums[kind].calls += plan.sids.length
    }
  }
  return Object.fromEntries(kinds.map((kind) => [kind, sums[kind].ns / sums[kind].calls / 1000]))
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

function planOf(numbers, sessions) {
  return {
    sids: numbers.map(sidOf),
    sessions: numbers.map((_, n) => sessions[n % sessions.length]),
  }
}

/** How many different sessions the calls of a block take in turn. */
const POOL = 2000

/** Sessions as if they had been read from a store: V8 joins the strings of a new one lazily. */
function poolOf(make, calls) {
  return Array.from({ length: Math.min(POOL, calls) }, (_, n) => {
    const session = make(n, 1)
    return { ...JSON.parse(JSON.stringify(session)), cookie: session.cookie }
  })
}

/** Resolves in a later turn of the event loop. */
function turn() {
  return new Promise((resolve) => setImmediate(resolve))
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Collects what can be collected, and gives the allocators time to return it. */
async function settle() {
  for (let n = 0; n < 3; n++) {
    globalThis.gc?.()
    await pause(50)
  }
}

/**
 * Watches the event loop until `stop` is called, which returns the longest gap between two turns
 * in milliseconds.
 */
function watchTurns() {
  let last = performance.now()
  let longest = 0
  let watching = true
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (watching) setImmediate(look)
  }
  setImmediate(look)
  return {
    stop: () => {
      watching = false
      look()
      return longest
    },
  }
}

/** The value below which the share `p` of the values, sorted in place, lies. */
function percentile(values, p) {
  if (values.length === 0) return 0
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.ceil(values.length * p) - 1)]
}

module.exports = {
  runAsChild,
  withStore,
  pump,
  pumpFor,
  load,
  warmUp,
  sessionMaker,
  check,
  timeOperations,
  timeFor,
  pickAs,
  planAtRandom,
  call,
  turn,
  pause,
  settle,
  watchTurns,
  percentile,
  WINDOW,
}
