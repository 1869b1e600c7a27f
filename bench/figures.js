'use strict'

/**
 * The figures to reach: what memorystore-rs promises beside memorystore in the same run, and on a
 * path beside itself in memory and connect-redis, with sessions of 400 bytes. Where a run had other numbers of sessions, the smallest and the largest
 * up to a million stand in, and the row says so.
 */

const { grownTo } = require('./measurements/event-loop.js')
const { OURS, PATH, REDIS } = require('./stores.js')
const { entriesOf, find, medianOf, number, thousands } = require('./summary.js')

module.exports = { figures, sharedFigures }

/** The methods and which of their rows a bound of 5 ms holds for. */
const NEVER_LONG = ['prune, none expired', 'prune, all expired', 'all', 'ids', 'clear']

/** Returns a row for each figure that was measured. */
function figures(report) {
  return [...operations(report), ...memory(report), ...eventLoop(report), ...http(report)].filter(
    ({ ours }) => ours !== undefined,
  )
}

function operations(report) {
  const bounds = {
    request: [0.3, 0.22],
    get: [0.95, 0.7],
    set: [0.95, 0.55],
    touch: [0.15, 0.1],
  }
  return Object.entries(bounds).flatMap(([kind, limits]) =>
    smallAndLarge(report, 'operations', (p) => p.cookie === 'plain').map((params) =>
      row(`${kind}, ${thousands(params.count)} sessions`, 'µs', {
        ...pair(report, 'operations', params, ['us', kind]),
        most: limits[isLarge(params) ? 1 : 0],
      }),
    ),
  )
}

function memory(report) {
  const params = smallAndLarge(report, 'memory').at(-1)
  if (!params) return []
  const at = `${thousands(params.count)} sessions`
  return [
    row(`resident bytes a session, ${at}`, 'B', {
      ...pair(report, 'memory', params, ['resident']),
      most: 0.65,
    }),
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
  const rows = NEVER_LONG.flatMap((method) => {
    const params = paramsOf(method === 'prune, all expired' ? 'expired' : 'calls')
    if (!params) return []
    return row(`longest gap of the loop: ${method}, ${thousands(params.count)} sessions`, 'ms', {
      ...pair(report, 'event-loop', params, [method, 'gap']),
      below: 5,
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
      isLarge(params) && sharedRow(`set, ${at}`, 'µs', { ...inMemory('set'), over: 10 }),
      sharedRow(`request, ${at}, one at a time`, 'µs', { ...redis(1), faster: 8 }),
      sharedRow(`request, ${at}, 32 in flight`, 'µs', { ...redis(32), faster: 1.5 }),
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
 * A row: at most so many `times` theirs, so much `over` it, so many times `faster`, or `below` a
 * value of our own.
 */
function sharedRow(what, unit, { ours, theirs, beside = '–', times, over, faster, below }) {
  if (ours === undefined || (theirs === undefined && below === undefined)) return { what }
  const show = (value) => `${number(value)} ${unit}`
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
  return { ...row, comparison: '–', target: `under ${below} ${unit}`, reached: ours < below }
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
