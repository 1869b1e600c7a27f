'use strict'

/**
 * What is measured in a full run and with `--quick`: for each section the configurations, the
 * stores that take part, and how many rounds.
 */

const { OURS, PATH, REDIS, FLOOR, LRU_CACHE, PEERS, ON_REDIS } = require('./stores.js')
const { PARTS } = require('./measurements/event-loop.js')
const { WINDOWS } = require('./measurements/operations.js')

const SECTIONS = [
  'operations',
  'memory',
  'event-loop',
  'http',
  'shared',
  'users',
  'redis',
  'growth',
]

const K = 1000
const M = 1000000

const IN_PROCESS = [OURS, 'memorystore', 'MemoryStore']
const WITH_REDIS = [...IN_PROCESS, REDIS]
const ALL = [...IN_PROCESS, ...PEERS, REDIS, FLOOR]

/** The stores that figures are judged by. Of the others one round of a long measurement suffices. */
const JUDGED_BY = [...IN_PROCESS, LRU_CACHE, FLOOR]

const FULL = {
  operations: [
    operations(10 * K, { rounds: 5, windows: WINDOWS }),
    operations(10 * K, { rounds: 5, windows: WINDOWS, sessions: 'realistic' }),
    operations(M, { rounds: 3, windows: WINDOWS }),
    operations(M, { rounds: 3, windows: WINDOWS, sessions: 'realistic' }),
    operations(5 * M, { rounds: 1, stores: IN_PROCESS }),
    operations(10 * K, { rounds: 3, cookie: 'express', stores: [...IN_PROCESS, FLOOR] }),
    ...[{ size: 120 }, { size: 4096, calls: 2 * K }, { size: 40960, calls: 200 }].map((size) =>
      operations(10 * K, { rounds: 1, ...size, stores: [...WITH_REDIS, FLOOR] }),
    ),
  ],
  memory: [
    memory(M, { rounds: 3 }),
    memory(M, { rounds: 3, sessions: 'realistic' }),
    memory(100 * K, { size: 120, rounds: 1 }),
    memory(100 * K, { size: 4096, rounds: 1 }),
    memory(10 * K, { size: 40960, rounds: 1 }),
  ],
  'event-loop': PARTS.map((part) =>
    eventLoop(part, { count: M, growTo: 5 * M, watched: 5000, rounds: part === 'grow' ? 1 : 2 }),
  ),
  http: [http(10 * K, 4), http(M, 5)],
  shared: [
    shared('operations', 10 * K, { processes: [1, 2, 4], ms: 100, blocks: 3, rounds: 2 }),
    shared('operations', M, { processes: [1, 2, 4], ms: 100, blocks: 3, rounds: 2 }),
    shared('waits', 100 * K, { processes: [4], watched: 5000, rounds: 2 }),
    shared('start', M, { times: 5, rounds: 1 }),
  ],
  users: [users(M, { times: 20, calls: 5000 })],
  redis: [
    redis(400, { processes: 1, ms: 20, rounds: 20 }),
    redis(4096, { count: 300, processes: 1, ms: 20, rounds: 15 }),
    redis(16384, { count: 100, processes: 1, ms: 20, rounds: 15 }),
    redis(400, { processes: 2, ms: 40, rounds: 10 }),
  ],
  growth: [
    growth([K, 10 * K, 100 * K, M], { stores: [REDIS] }),
    growth([K, 10 * K, 100 * K, M, 3 * M, 5 * M, 10 * M], { stores: IN_PROCESS }),
  ],
}

const QUICK = {
  operations: [
    operations(10 * K, { rounds: 2, blocks: 2, calls: 3 * K }),
    operations(10 * K, {
      ...{ rounds: 1, blocks: 2, calls: 3 * K },
      ...{ sessions: 'realistic', stores: [OURS, 'memorystore', LRU_CACHE] },
    }),
    operations(50 * K, {
      rounds: 1,
      blocks: 2,
      calls: 3 * K,
      windows: WINDOWS,
      stores: IN_PROCESS,
    }),
  ],
  memory: [memory(30 * K, { rounds: 1 })],
  'event-loop': PARTS.map((part) =>
    eventLoop(part, { count: 30 * K, growTo: 60 * K, watched: 1500, rounds: 1 }),
  ),
  http: [http(10 * K, 1, 1)],
  shared: [
    shared('operations', 10 * K, { processes: [1, 2], ms: 30, blocks: 1, rounds: 1 }),
    shared('waits', 5 * K, { processes: [2], watched: 200, rounds: 1 }),
    shared('start', 5 * K, { times: 1, rounds: 1 }),
  ],
  users: [users(5 * K, { times: 2, calls: 200 })],
  redis: [redis(400, { count: 200, processes: 1, ms: 5, rounds: 2 })],
  growth: [
    growth([K, 5 * K], { stores: [REDIS], calls: 2 * K }),
    growth([K, 5 * K, 20 * K], { stores: IN_PROCESS, calls: 2 * K }),
  ],
}

function operations(count, options) {
  return {
    params: {
      count,
      size: 400,
      cookie: 'plain',
      blocks: 5,
      calls: count >= M ? 20 * K : 10 * K,
      windows: WINDOWS.slice(0, 1),
      ...pick(options, ['size', 'sessions', 'cookie', 'blocks', 'calls', 'windows']),
    },
    rounds: options.rounds,
    stores: options.stores ?? ALL,
  }
}

function memory(count, { size = 400, rounds, ...options }) {
  const stores = size === 400 ? ALL : [...WITH_REDIS, FLOOR]
  return { params: { count, size, ...options, cookie: 'plain' }, rounds, stores }
}

function eventLoop(part, { rounds, ...sizes }) {
  const pruning = [OURS, 'memorystore']
  const stores = { calls: WITH_REDIS, close: [OURS], expired: pruning, background: pruning }
  return { params: { part, ...sizes, size: 400 }, rounds, stores: stores[part] ?? IN_PROCESS }
}

function http(count, seconds, rounds = 3) {
  return { params: { count, size: 400, seconds }, rounds, stores: WITH_REDIS }
}

function shared(part, count, { rounds, ...sizes }) {
  const stores = part === 'operations' ? [OURS, PATH, REDIS] : [OURS, PATH]
  return { params: { part, count, ...sizes, size: 400 }, rounds, stores }
}

function users(count, sizes) {
  return { params: { count, size: 400, ...sizes }, rounds: 1, stores: [OURS, PATH] }
}

/** The stores take turns within one measurement, so that each round is a run of all of them. */
function redis(size, { count = K, ...sizes }) {
  return { params: { count, size, ...sizes }, rounds: 1, stores: ON_REDIS, isTogether: true }
}

function growth(counts, { stores, calls = 20 * K }) {
  return { params: { counts, size: 400, calls }, rounds: 1, stores }
}

/**
 * The jobs of a run, in the order in which they are done: the stores take turns, round by round.
 * Each job is of one store, or of `stores` that take turns by themselves.
 *
 * @param {{quick: boolean, only?: string[], stores?: string[], counts?: number[],
 *   rounds?: number, windows?: number[]}} selection
 */
function planOf({ quick, only, stores, counts, rounds, windows }) {
  const jobs = []
  for (const section of SECTIONS) {
    if (only && !only.includes(section)) continue
    for (const config of (quick ? QUICK : FULL)[section]) {
      const chosen = withWindows(withCounts(config.params, counts), windows)
      if (!chosen) continue
      if (config.isTogether) {
        jobs.push(...together(section, config, { stores, rounds, params: chosen }))
        continue
      }
      for (let round = 1; round <= (rounds ?? config.rounds); round++) {
        for (const store of config.stores) {
          if (stores && !stores.includes(store)) continue
          const its = rounds ?? roundsOf(config, section, store)
          if (round <= its) jobs.push({ section, store, params: chosen, round, rounds: its })
        }
      }
    }
  }
  return jobs
}

/** One job of all stores that were chosen. */
function together(section, config, { stores, rounds, params }) {
  const its = config.stores.filter((store) => !stores || stores.includes(store))
  if (its.length === 0) return []
  const chosen = rounds ? { ...params, rounds } : params
  return [{ section, stores: its, params: chosen, round: 1, rounds: 1 }]
}

/** What takes most of the time of a run has more than a round only where it is judged by. */
function roundsOf(config, section, store) {
  const isJudgedBy = JUDGED_BY.includes(store) || section === 'shared'
  const isShort = store !== REDIS && config.params.count < M
  return isJudgedBy || isShort ? config.rounds : 1
}

/** The parameters where they are among `counts`; undefined where not. */
function withCounts(params, counts) {
  if (!counts) return params
  if (params.counts) return { ...params, counts }
  return counts.includes(params.count) ? params : undefined
}

/** The parameters with other numbers of calls in flight, where they have such. */
function withWindows(params, windows) {
  return params?.windows && windows ? { ...params, windows } : params
}

function pick(object, names) {
  return Object.fromEntries(names.filter((n) => n in object).map((n) => [n, object[n]]))
}

module.exports = { planOf, SECTIONS }
