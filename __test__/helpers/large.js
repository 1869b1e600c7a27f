'use strict'

/**
 * What tests of long operations share: stores that hold many sessions, turns of the event loop,
 * callbacks that are counted.
 */

module.exports = { addSessions, collect, countTurns, createStore, onceOnly, sids, turns }

/** The lifetime of what is expired from the start. */
const EXPIRED = -1

const noop = () => {}

/**
 * A store in which the `ttl` of a session is its own: a session `{ ttl: -1 }` has expired, one
 * without `ttl` lives for ever.
 */
function createStore(MemoryStore, options = {}) {
  return new MemoryStore({ ttl: (_options, session) => session.ttl, ...options })
}

/** Adds `count` sessions named `prefix` and a number, which is the session's `n` as well. */
function addSessions(store, count, { prefix = 'sid-', expired = false } = {}) {
  const lifetime = expired ? { ttl: EXPIRED } : {}
  for (let n = 0; n < count; n++) store.set(`${prefix}${n}`, { n, ...lifetime }, noop)
  return store
}

/** The sids that `addSessions` gave, the most recently used first. */
function sids(count, prefix = 'sid-') {
  return Array.from({ length: count }, (_, i) => `${prefix}${count - 1 - i}`)
}

/** Lets the event loop turn `count` times. */
async function turns(count) {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits for `promise` and returns how often the event loop turned meanwhile. */
async function countTurns(promise) {
  let count = 0
  let isWaiting = true
  const turn = () => {
    count++
    if (isWaiting) setImmediate(turn)
  }
  setImmediate(turn)
  try {
    await promise
  } finally {
    isWaiting = false
  }
  return count
}

/**
 * Calls `store[method](callback)`. Resolves to the callback's arguments, and rejects if it is
 * called more than once, or before the method has returned.
 */
async function onceOnly(store, method) {
  const calls = []
  let hasReturned = false
  const first = new Promise((resolve) => {
    store[method]((...args) => {
      calls.push({ args, isEarly: !hasReturned })
      resolve()
    })
    hasReturned = true
  })
  await first
  await turns(5)
  if (calls.length > 1) throw new Error(`${method} called its callback ${calls.length} times`)
  if (calls[0].isEarly) throw new Error(`${method} called its callback before it returned`)
  return calls[0].args
}

/** All that an async iterable gives. */
async function collect(iterable) {
  const values = []
  for await (const value of iterable) values.push(value)
  return values
}
