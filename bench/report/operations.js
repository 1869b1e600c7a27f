'use strict'

/** The section on what calls take. */

const { KINDS, WINDOWS } = require('../measurements/operations.js')
const { REDIS, LRU_CACHE, PEERS } = require('../stores.js')
const { barChart } = require('./charts.js')
const {
  bars,
  configurations,
  failures,
  inFlight,
  nameOf,
  present,
  sessionsOf,
  table,
} = require('./parts.js')
const { NONE, cellOf, digits, find, medianOf } = require('./summary.js')

module.exports = { operationsPart }

const TIMES = { cpu: 'processor time', us: 'time on the clock' }

function operationsPart(report, charts) {
  const out = [
    '## Operations',
    'Microseconds of a call. `request` is get, then touch: what a page view costs a store. Processor time is that of all threads of the process; that of the server behind connect-redis is not in it. lru-cache, quick-lru, keyv, node:sqlite and lmdb are stores written by hand on these packages.',
  ]
  for (const params of configurations(report, 'operations')) {
    out.push(...ofConfiguration(report, charts, params))
  }
  return out.filter(Boolean).join('\n\n')
}

function ofConfiguration(report, charts, params) {
  const { windows = WINDOWS.slice(0, 1) } = params
  const stores = present(report, 'operations', params).filter((store) => {
    const { failed, runs } = find(report, 'operations', store, params)
    return !failed || runs.length > 0
  })
  const cell = (store, path) => cellOf(find(report, 'operations', store, params), path)
  const title = sessionsOf(params)
  const tables = windows.flatMap((window, n) => {
    const isAloneToo = n === 0 && stores.includes(REDIS)
    const wasMeasured = ([time]) =>
      stores.some((store) => cell(store, [window, 'get', time]) !== NONE)
    return Object.entries(TIMES)
      .filter(wasMeasured)
      .flatMap(([time, what]) => [
        `#### ${inFlight(window)}, ${what}`,
        table(
          ['µs', ...stores.map(nameOf), ...(isAloneToo ? ['connect-redis, one at a time'] : [])],
          KINDS.map((kind) => [
            kind,
            ...stores.map((store) => cell(store, [window, kind, time])),
            ...(isAloneToo ? [cell(REDIS, [1, kind, time])] : []),
          ]),
        ),
      ])
  })
  return [
    `### ${title}`,
    ...tables,
    failures(report, 'operations', params),
    chartOf(report, charts, { params, stores, title, window: windows[0] }),
  ]
}

/** Adds the chart of the sessions that most readers want to know about, and returns the link. */
function chartOf(report, charts, { params, stores, title, window }) {
  const { count, size, sessions, cookie } = params
  if (size !== 400 || cookie !== 'plain' || sessions) return undefined
  const file = `operations-${digits(count)}.svg`
  const shown = stores.filter((store) => store === LRU_CACHE || !PEERS.includes(store))
  charts[file] = barChart({
    title: `Time of a call with ${title}`,
    subtitle: `Shorter is better. Median of the rounds, ${inFlight(window)}, callbacks included.`,
    unit: 'µs',
    ...bars(shown, KINDS, (store, kind) =>
      medianOf(find(report, 'operations', store, params), [window, kind, 'us']),
    ),
  })
  return `![${title}](${file})`
}
