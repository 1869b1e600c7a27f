'use strict'

/**
 * Users: what the option `user` costs, and what the calls take that need it. A store with the option
 * and one without it take turns, so that both see the same machine. Times are microseconds of a
 * call, medians. On a path, bytes are those that the store counts.
 */

const { join } = require('node:path')

const harness = require('../harness.js')
const { sessionMaker, sidOf } = require('../sessions.js')
const { OURS, PATH, makeFolder, openStore } = require('../stores.js')

/** How many sessions each user has. */
const EACH = 5

harness.runAsChild(module, measure)

async function measure({ store = OURS, path, ...numbers }, tell) {
  if (store !== PATH) return compare((_name, options) => options, numbers, tell)
  const folder = path === undefined ? makeFolder() : { path, remove: () => {} }
  const placed = (name, options) => ({ ...options, path: join(folder.path, name) })
  try {
    return await compare(placed, numbers, tell)
  } finally {
    folder.remove()
  }
}

/** `placed(name, options)` gives the options where a store is to be. */
async function compare(placed, numbers, tell) {
  const { count = 1_000_000, size = 400, times = 20, calls = 5000 } = numbers
  const make = ownedMaker(count, size)
  const without = await filled(placed('without', {}), make, count, tell)
  const withUser = await filled(placed('with', { user: 'user' }), make, count, tell)
  const sets = { without: [], with: [] }
  for (let round = 0; round < times; round++) {
    sets.without.push(await timeSets(without.store, make, count, calls))
    sets.with.push(await timeSets(withUser.store, make, count, calls))
  }
  const { store } = withUser
  const figures = {
    setWithout: median(sets.without),
    setWith: median(sets.with),
    bytesWithout: without.resident,
    bytesWith: withUser.resident,
    sessionsOf: await timeUsers(count, calls, (user) => store.sessionsOf(user)),
    destroyUser: await timeUsers(count, calls, (user) => store.destroyUser(user)),
  }
  await Promise.all([without.store.close(), store.close()])
  return figures
}

/** Makes sessions of which each `EACH` are one user's. */
function ownedMaker(count, size) {
  const make = sessionMaker({ size })
  const users = Math.floor(count / EACH)
  return (number) => Object.assign(make(number), { user: `user-${number % users}` })
}

async function filled(options, make, count, tell) {
  const { memoryNow } = require('./memory.js')
  const opened = await openStore(OURS, options, {})
  await harness.warmUp(opened.store, make)
  const before = await memoryNow(opened)
  await harness.load(opened.store, make, 0, count, tell)
  const { store } = opened
  if (options.path !== undefined) return { store, resident: store.stats().bytes / count }
  const { resident } = await memoryNow(opened)
  return { store, resident: (resident - before.resident) / count }
}

async function timeSets(store, make, count, calls) {
  const sets = Array.from({ length: calls }, () => {
    const number = Math.floor(Math.random() * count)
    return [sidOf(number), make(number)]
  })
  const began = performance.now()
  await harness.pump(calls, harness.WINDOW, (n, next) => store.set(...sets[n], next))
  return ((performance.now() - began) * 1000) / calls
}

/** Times a call for users, each of whom is taken once. */
async function timeUsers(count, calls, call) {
  const users = Math.floor(count / EACH)
  const step = Math.max(1, Math.floor(users / calls))
  const times = []
  for (let user = 0; user < users; user += step) {
    const began = performance.now()
    const result = call(`user-${user}`)
    times.push((performance.now() - began) * 1000)
    await result
  }
  return median(times)
}

function median(times) {
  return harness.percentile(times, 0.5)
}
