'use strict'

/**
 * The store in a file that processes share, beside the one in memory and Redis.
 *
 * - `operations`: microseconds of a call and calls a second, in several processes at once. Of the
 *   store in memory each process has one of its own, with all of the sessions.
 * - `waits`: how long a call holds the event loop, in milliseconds, while several processes write
 *   and another one removes what has expired.
 * - `start`: the milliseconds from before `require` of the package to the first answer of an
 *   Express app, in a fresh process; and what the sessions take of the disk.
 */

const { readdirSync, statSync } = require('node:fs')
const { join } = require('node:path')
const harness = require('../harness.js')
const { OURS, PATH } = require('../stores.js')
const { sessionMaker, sidOf, ONE_DAY } = require('../sessions.js')
const { startWorker } = require('../workers.js')
const { IN_USE } = require('./shared-worker.js')

const KINDS = ['get', 'set', 'touch', 'request']

/** One call at a time, and a server with some traffic. */
const WINDOWS = [harness.WINDOW, 1]

const WORKER = join(__dirname, 'shared-worker.js')
const APP = join(__dirname, 'shared-app.js')

module.exports = { KINDS, WINDOWS }

const PARTS = { operations, waits, start }

harness.runAsChild(module, (params, tell) => PARTS[params.part](params, tell))

async function operations(params, tell) {
  const { processes, blocks, ms } = params
  return withWorkers(params, Math.max(...processes), async (workers) => {
    await all(workers, 'load', undefined, fillersOf(params, workers))
    tell('loaded', params.count)
    // One after another, because it sets and destroys a session.
    for (const worker of workers) await worker.ask('check')
    // To warm up.
    for (const window of WINDOWS) {
      for (const kind of KINDS) await all(workers, 'time', { ms, kind, window })
    }

    const result = {}
    for (const number of processes) {
      const busy = workers.slice(0, number)
      for (const window of WINDOWS) {
        const sums = Object.fromEntries(KINDS.map((kind) => [kind, busy.map(() => newSum())]))
        for (let block = 0; block < blocks; block++) {
          for (const kind of KINDS) {
            const timed = await all(busy, 'time', { ms, kind, window })
            timed.forEach((each, n) => add(sums[kind][n], each))
          }
        }
        const figures = KINDS.map((kind) => [kind, figuresOf(sums[kind])])
        ;(result[number] ??= {})[window] = Object.fromEntries(figures)
      }
      tell('partial', result)
    }
    return result
  })
}

/** A store in memory is filled by each process, another one by the first. */
function fillersOf({ store }, workers) {
  return store === OURS ? workers : workers.slice(0, 1)
}

function newSum() {
  return { calls: 0, ms: 0 }
}

function add(sum, { calls, ms }) {
  sum.calls += calls
  sum.ms += ms
}

/** What a call takes in a process, on average over the processes; and the calls of all of them. */
function figuresOf(sums) {
  const total = (of) => sums.reduce((sum, each) => sum + of(each), 0)
  return {
    us: total(({ calls, ms }) => (1000 * ms) / calls) / sums.length,
    perSecond: total(({ calls, ms }) => (1000 * calls) / ms),
  }
}

async function waits(params, tell) {
  const { processes, store: name, count, size, watched } = params
  return withWorkers(params, Math.max(...processes), async (workers) => {
    await all(workers, 'loadLive', undefined, fillersOf(params, workers))
    const result = { 'nothing expires': await whileWriting(workers, () => harness.pause(watched)) }
    tell('partial', result)
    if (name !== PATH) return result

    return harness.withStore(params, {}, async ({ store }) => {
      const make = sessionMaker({ size })
      await harness.load(store, make, 0, count, tell)
      const now = Date.now
      Date.now = () => now() + 2 * ONE_DAY
      result['a prune'] = await whileWriting(workers, async () => {
        await harness.call(store, 'prune')
        tell('loaded', count)
      })
      const length = await harness.call(store, 'length')
      if (length !== IN_USE) throw new Error(`${length} sessions are left instead of ${IN_USE}`)
      return result
    })
  })
}

/** The longest waits in any of the workers while they write, until `done` resolves. */
async function whileWriting(workers, done) {
  const writing = all(workers, 'write')
  const begin = performance.now()
  await Promise.race([done(), writing])
  const ms = performance.now() - begin
  await all(workers, 'stop')
  const found = await writing
  const longest = (what) => Math.max(...found.map((each) => each[what]))
  return {
    ms,
    calls: found.reduce((sum, { calls }) => sum + calls, 0),
    p99: longest('p99'),
    'p99.9': longest('p99.9'),
    longest: longest('longest'),
  }
}

async function start(params, tell) {
  const { store: name, count, size, times, path } = params
  const make = sessionMaker({ size })
  const sid = sidOf(count - 1)
  const once = async (end) => {
    const app = startWorker(APP, { store: name, path, sid })
    try {
      const took = await app.ask('start')
      if (end === 'kill') await app.kill()
      else await app.ask('close')
      return took
    } finally {
      await app.end()
    }
  }
  const several = async (end) => {
    const took = []
    for (let n = 0; n < times; n++) took.push(await once(end))
    return Object.fromEntries(
      Object.keys(took[0]).map((what) => [
        what,
        harness.percentile(
          took.map((t) => t[what]),
          0.5,
        ),
      ]),
    )
  }

  if (name !== PATH) return { closed: await several('close') }
  await harness.withStore(params, {}, async ({ store }) => {
    await harness.load(store, make, 0, count, tell)
    await harness.check(name, store, make, count)
  })
  const disk = bytesOn(path) / count
  const result = { disk, closed: await several('close') }
  tell('partial', result)
  // It was closed before this one, and is killed before each of those that count.
  await once('kill')
  return { ...result, killed: await several('kill') }
}

/** What the files of a folder take of the disk. */
function bytesOn(path) {
  const sizes = readdirSync(path).map((name) => {
    const { blocks, size } = statSync(join(path, name))
    return blocks === undefined ? size : blocks * 512
  })
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Starts processes that have opened the store, and ends them. */
async function withWorkers({ store, count, size, redisPort, path }, number, use) {
  const expires = Date.now() + ONE_DAY
  const workers = Array.from({ length: number }, (_, n) =>
    startWorker(WORKER, { number: n, store, count, size, expires, redisPort, path }),
  )
  try {
    await all(workers, 'open')
    const result = await use(workers)
    await all(workers, 'close')
    return result
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
  }
}

/** Asks all of `workers` at once. */
function all(workers, task, args, of = workers) {
  return Promise.all(of.map((worker) => worker.ask(task, args)))
}
