'use strict'

/**
 * The figures to reach: what memorystore-rs promises beside memorystore in the same run, with
 * sessions of 400 bytes. Where a run had other numbers of sessions, the smallest and the largest
 * up to a million stand in, and the row says so.
 */

const { grownTo } = require('./measurements/event-loop.js')
const { OURS } = require('./stores.js')
const { entriesOf, find, medianOf, number, thousands } = require('./summary.js')

module.exports = { figures }

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
