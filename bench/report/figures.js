'use strict'

/**
 * The figures to reach besides the ratios: what memorystore-rs promises beside memorystore in the
 * same run, on a path beside itself in memory and connect-redis, and on Redis beside connect-redis,
 * with sessions of 400 bytes. Where a run had other numbers of sessions, the smallest and the largest up to a million
 * stand in, and the row says so.
 */

const { grownTo } = require('../measurements/event-loop.js')
const { OURS, PATH, REDIS, REDIS_TUNED, OURS_REDIS } = require('../stores.js')
const { entriesOf, find, lowOf, medianOf, number, thousands } = require('./summary.js')

module.exports = { figures, sharedFigures, redisFigures }

/** For how long at most the methods may hold the event loop, in milliseconds. */
const NEVER_LONG = {
  'prune, none expired': 5,
  'prune, all expired': 5,
  all: 25,
  ids: 25,
  clear: 5,
}

/** Returns a row for each figure that was measured. */
function figures(report) {
  return [...memory(report), ...eventLoop(report), ...http(report)].filter(
    ({ ours }) => ours !== undefined,
  )
}

function memory(report) {
  const params = smallAndLarge(report, 'memory', (p) => !p.sessions).at(-1)
  if (!params) return []
  const at = `${thousands(params.count)} sessions`
  return [
    row(`V8 heap bytes a session, ${at}`, 'B', {
      ...pair(report, 'memory', params, ['heap']),
      below: 8,
    }),
    row(`full collection, ${at} alive`, 'ms', {
      ...pair(report, 'memory', params, ['collection']),
      below: 5,
    }),
  ]
}

function eventLoop(report) {
  const all = entriesOf(report, 'event-loop').map((entry) => entry.params)
  const paramsOf = (part) => all.find((params) => params.part === part)
  const rows = Object.entries(NEVER_LONG).flatMap(([method, below]) => {
    const params = paramsOf(method === 'prune, all expired' ? 'expired' : 'calls')
    if (!params) return []
    return row(`longest gap of the loop: ${method}, ${thousands(params.count)} sessions`, 'ms', {
      ...pair(report, 'event-loop', params, [method, 'gap']),
      below,
    })
  })
  const grow = paramsOf('grow')
  if (!grow) return rows
  const method = grownTo(grow.growTo)
  return [
    ...rows,
    row(`longest single set, growing to ${thousands(grow.growTo)}`, 'ms', {
      ...pair(report, 'event-loop', grow, [method, 'hold']),
      below: 3,
    }),
    row(`the same, processor time`, 'ms', {
      ...pair(report, 'event-loop', grow, [method, 'cpu']),
      below: 3,
    }),
  ]
}

function http(report) {
  const both = smallAndLarge(report, 'http')
  return ['read', 'write'].flatMap((page) =>
    both.flatMap((params) => {
      const at = `${page}, ${thousands(params.count)} sessions`
      const rate = row(`HTTP requests a second, ${at}`, '', {
        ...pair(report, 'http', params, [page, 'perSecond']),
        least: isLarge(params) ? 1.3 : 1,
      })
      if (!isLarge(params)) return [rate]
      const latency = row(`HTTP p99.9, ${at}`, 'ms', {
        ...pair(report, 'http', params, [page, 'p99.9']),
        most: 0.1,
      })
      return [rate, latency]
    }),
  )
}

/** How many processes that only write are compared. */
const WRITERS = 4

/** Returns a row for each figure of the shared store that was measured. */
function sharedFigures(report) {
  const isOf = (part) => (params) => params.part === part
  const operations = smallAndLarge(report, 'shared', isOf('operations'))
  const starts = smallAndLarge(report, 'shared', isOf('start')).slice(-1)
  return [...operations.flatMap(ofOperations), ...starts.flatMap(ofStart)].filter(
    ({ ours }) => ours !== undefined,
  )

  function ofOperations(params) {
    const of = (store, kind, window) =>
      medianOf(find(report, 'shared', store, params), [1, window, kind, 'us'])
    const rateOf = (store) =>
      medianOf(find(report, 'shared', store, params), [WRITERS, 32, 'set', 'perSecond'])
    const at = `${thousands(params.count)} sessions`
    const inMemory = (kind) => ({
      ours: of(PATH, kind, 32),
      theirs: of(OURS, kind, 32),
      beside: 'memorystore-rs',
    })
    const redis = (window) => ({
      ours: of(PATH, 'request', window),
      theirs: of(REDIS, 'request', window),
      beside: 'connect-redis',
    })
    return [
      sharedRow(`get, ${at}`, 'µs', { ...inMemory('get'), times: 2.5 }),
      isLarge(params) && sharedRow(`set, ${at}`, 'µs', { ...inMemory('set'), over: 9 }),
      sharedRow(`request, ${at}, one at a time`, 'µs', { ...redis(1), faster: 8 }),
      sharedRow(`request, ${at}, 32 in flight`, 'µs', { ...redis(32), faster: 1.5 }),
      sharedRow(`sets a second of ${WRITERS} processes, ${at}, 32 in flight`, '', {
        ours: rateOf(PATH),
        theirs: rateOf(REDIS),
        beside: 'connect-redis',
        asMany: 1,
      }),
    ].filter(Boolean)
  }

  function ofStart(params) {
    const answer = (end) => medianOf(find(report, 'shared', PATH, params), [end, 'answer'])
    const at = `${thousands(params.count)} sessions`
    return [
      sharedRow(`first answer, ${at}, closed before`, 'ms', { ours: answer('closed'), below: 100 }),
      sharedRow(`first answer, ${at}, killed before`, 'ms', { ours: answer('killed'), below: 100 }),
    ]
  }
}

/**
 * A row: at most so many `times` theirs, so much `over` it, so many times `faster`, so many times
 * `asMany`, or `below` a value of our own.
 */
function sharedRow(what, unit, { ours, theirs, beside = '–', times, over, faster, asMany, below }) {
  if (ours === undefined || (theirs === undefined && below === undefined)) return { what }
  const show = (value) => `${number(value)} ${unit}`.trim()
  const row = { what, ours: show(ours), beside, theirs: theirs === undefined ? '–' : show(theirs) }
  if (times) {
    const [comparison, target] = [`${number(ours / theirs)} times`, `${times} times or less`]
    return { ...row, comparison, target, reached: ours <= times * theirs }
  }
  if (over) {
    const [comparison, target] = [`${show(ours - theirs)} more`, `${over} ${unit} more or less`]
    return { ...row, comparison, target, reached: ours <= theirs + over }
  }
  if (faster) {
    const [comparison, target] = [
      `${number(theirs / ours)} times faster`,
      `${faster} times or more`,
    ]
    return { ...row, comparison, target, reached: theirs >= faster * ours }
  }
  if (asMany) {
    const [comparison, target] = [`${number(ours / theirs)} times as many`, `${asMany} or more`]
    return { ...row, comparison, target, reached: ours >= asMany * theirs }
  }
  return { ...row, comparison: '–', target: `under ${below} ${unit}`, reached: ours < below }
}

/**
 * How many times faster than connect-redis on a client as it is by default, and on a tuned one,
 * calls on Redis are to be: one at a time and with 32 in flight.
 */
const ON_REDIS = [
  { kind: 'get that hits', window: 1, faster: [7, 5] },
  { kind: 'get that hits', window: 32, faster: [2.3, 1.2] },
  { kind: 'page view', window: 1, faster: [9, 6] },
  { kind: 'page view', window: 32, faster: [3.5, 1.6] },
  { kind: 'page view, every touch done', window: 1, faster: [1.3] },
  { kind: 'get, then set', window: 1, faster: [1.2] },
  { kind: 'get, then set', window: 32, faster: [1] },
  { kind: 'set that was not read', window: 1, faster: [1.3] },
]

/** Less than this is no server CPU: asking for it takes some, too. In microseconds of a call. */
const NO_SERVER_CPU = 0.2

/** Returns a row for each figure on Redis that was measured. */
function redisFigures(report) {
  const params = entriesOf(report, 'redis')
    .map((entry) => entry.params)
    .find(({ size, processes }) => size === 400 && processes === 1)
  const ours = params && find(report, 'redis', OURS_REDIS, params)
  if (!ours || ours.runs.length === 0) return []
  const show = (value) => `${number(value)} µs`
  const rows = ON_REDIS.flatMap(({ kind, window, faster }) => {
    const path = [window, kind, 'us']
    const own = lowOf(ours, path)
    const theirs = [REDIS, REDIS_TUNED].map((store) =>
      lowOf(find(report, 'redis', store, params), path),
    )
    if (theirs.includes(undefined)) return []
    return {
      what: `${kind}, ${window === 1 ? 'one at a time' : `${window} in flight`}`,
      ours: show(own),
      theirs: theirs.map(show).join(', '),
      comparison: theirs.map((each) => number(each / own)).join(', '),
      target: faster.map((times) => `${times} or more`).join(', '),
      reached: faster.every((times, n) => theirs[n] >= times * own),
    }
  })
  const cpu = medianOf(ours, [32, 'page view', 'server'])
  return [
    ...rows,
    {
      what: 'server CPU of a page view, 32 in flight',
      ours: show(cpu),
      theirs: [REDIS, REDIS_TUNED]
        .map((store) => medianOf(find(report, 'redis', store, params), [32, 'page view', 'server']))
        .map((value) => (value === undefined ? '–' : show(value)))
        .join(', '),
      comparison: '–',
      target: `under ${NO_SERVER_CPU} µs`,
      reached: cpu < NO_SERVER_CPU,
    },
  ]
}

/** Whether the bounds for a million sessions hold, not those for ten thousand. */
function isLarge({ count }) {
  return count > 10000
}

/** The configurations with the smallest number of sessions and with the largest up to a million. */
function smallAndLarge(report, section, wanted = () => true) {
  const all = entriesOf(report, section)
    .map((entry) => entry.params)
    .filter((params) => params.size === 400 && params.count <= 1e6 && wanted(params))
    .sort((a, b) => a.count - b.count)
  const large = all.findLast(({ count }) => count > all[0].count)
  return [all[0], large].filter(Boolean)
}

function pair(report, section, params, path) {
  const median = (store) => medianOf(find(report, section, store, params), path)
  return { theirs: median('memorystore'), ours: median(OURS) }
}

/**
 * A row: the ratio has to be at `most` or at `least` this, or our own value `below` that.
 */
function row(what, unit, { theirs, ours, most, least, below }) {
  if (ours === undefined) return { what, ours }
  const ratio = ours / theirs
  const show = (value) => (value === undefined ? '–' : `${number(value)} ${unit}`.trim())
  const target =
    below !== undefined
      ? `under ${below} ${unit}`
      : most !== undefined
        ? `${most} or less`
        : `${least} or more`
  const reached =
    below !== undefined ? ours < below : most !== undefined ? ratio <= most : ratio >= least
  return {
    what,
    theirs: show(theirs),
    ours: show(ours),
    ratio: Number.isFinite(ratio) ? number(ratio) : '–',
    target,
    reached,
  }
}
