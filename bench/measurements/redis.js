'use strict'

/**
 * memorystore-rs on Redis beside connect-redis, on one server. Each store is in a process of its
 * own, or in several ones. The stores take turns in each round, kind by kind, so that a slow phase
 * of the machine affects all of them.
 *
 * For each store there is a run for each round: for each number of calls in flight and each kind,
 * the microseconds of a call (`us`), the calls a second of all processes together (`perSecond`),
 * and the microseconds of processor time that a call costs the clients and the server.
 */

const { join } = require('node:path')
const harness = require('../harness.js')
const { connectedClient } = require('../stores.js')
const { startWorker } = require('../workers.js')
const { KINDS } = require('./redis-worker.js')

/** One call at a time, and a server with some traffic. */
const WINDOWS = [1, harness.WINDOW]

/** How many times longer each kind is called in the first round. */
const WARM_UP = 15

const WORKER = join(__dirname, 'redis-worker.js')

module.exports = { KINDS, WINDOWS }

harness.runAsChild(module, measure)

async function measure(params, tell) {
  const { stores, processes, rounds, ms, redisPort } = params
  const server = await connectedClient({ redisPort })
  const groups = stores.map((store) => ({ store, workers: startWorkers(store, processes, params) }))
  try {
    for (const { workers } of groups) {
      await all(workers, 'open')
      await workers[0].ask('check')
    }
    const result = Object.fromEntries(stores.map((store) => [store, []]))
    // The first round is to warm up: until V8 has compiled what it will.
    for (let round = -1; round < rounds; round++) {
      const timeOf = (workers, what) =>
        time(server, workers, { ...what, ms: round < 0 ? WARM_UP * ms : ms })
      const runs = await runsOf(turned(groups, round), timeOf)
      if (round < 0) continue
      for (const store of stores) result[store].push(runs[store])
      tell('partial', result)
    }
    for (const { workers } of groups) await all(workers, 'close')
    return result
  } finally {
    server.destroy()
    await Promise.all(groups.flatMap(({ workers }) => workers.map((worker) => worker.end())))
  }
}

function startWorkers(store, processes, { count, size, redisPort }) {
  const prefix = `${store}:`
  return Array.from({ length: processes }, (_, number) =>
    startWorker(WORKER, { number, store, prefix, count, size, redisPort }),
  )
}

/** A round: for each store what it took, by the calls in flight and the kind. */
async function runsOf(groups, timeOf) {
  const runs = {}
  for (const { store, workers } of groups) {
    runs[store] = Object.fromEntries(WINDOWS.map((window) => [window, {}]))
    await workers[0].ask('write')
  }
  for (const window of WINDOWS) {
    for (const kind of KINDS) {
      for (const { store, workers } of groups) {
        runs[store][window][kind] = await timeOf(workers, { kind, window })
      }
    }
  }
  return runs
}

/** Who was first becomes last. */
function turned(groups, round) {
  const first = (round + 1) % groups.length
  return [...groups.slice(first), ...groups.slice(0, first)]
}

async function time(server, workers, { kind, window, ms }) {
  // One after another: each writes what the next one reads.
  for (const worker of workers) await worker.ask('prepare', { kind })
  const before = await cpuOf(server)
  const timed = await all(workers, 'time', { window, ms })
  const serverCpu = (await cpuOf(server)) - before
  const total = (of) => timed.reduce((sum, each) => sum + of(each), 0)
  const calls = total((each) => each.calls)
  return {
    us: rounded((1000 * total((each) => each.ms / each.calls)) / workers.length),
    perSecond: Math.round(total((each) => (1000 * each.calls) / each.ms)),
    client: rounded((1000 * total((each) => each.cpu)) / calls),
    server: rounded(serverCpu / calls),
  }
}

function rounded(us) {
  return Number(us.toFixed(3))
}

/** The processor time that the server has taken, in microseconds. */
async function cpuOf(server) {
  const info = await server.info('cpu')
  const seconds = (name) => Number(new RegExp(`^${name}:(.*)\r`, 'm').exec(info)[1])
  return 1e6 * (seconds('used_cpu_user') + seconds('used_cpu_sys'))
}

/** Asks all of `workers` at once. */
function all(workers, task, args) {
  return Promise.all(workers.map((worker) => worker.ask(task, args)))
}
