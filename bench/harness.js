'use strict'

/**
 * What all measurements share: how a measurement runs as a child process, how calls are kept in
 * flight and timed, how a store is filled and checked, and how the event loop is watched.
 */

const assert = require('node:assert/strict')
const { openStore, FLOOR } = require('./stores.js')
const { sidOf } = require('./sessions.js')

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

/**
 * Begins to time what this thread does. The function that it returns gives the milliseconds since:
 * those on the clock, or fewer if the processors had less than that to do for this process, as when
 * the system lets another one have them.
 */
function startWork() {
  const { user, system } = process.cpuUsage()
  const began = performance.now()
  return () => {
    const clock = performance.now() - began
    const now = process.cpuUsage()
    return Math.min(clock, (now.user + now.system - user - system) / 1000)
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
  check,
  call,
  turn,
  pause,
  settle,
  watchTurns,
  startWork,
  percentile,
  WINDOW,
}
