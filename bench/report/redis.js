'use strict'

/** The section on Redis. */

const { KINDS, WINDOWS } = require('../measurements/redis.js')
const { OURS_REDIS } = require('../stores.js')
const { barChart } = require('./charts.js')
const {
  bars,
  configurations,
  failures,
  inFlight,
  nameOf,
  present,
  processesOf,
  table,
} = require('./parts.js')
const {
  cellOf,
  find,
  lowOf,
  medianOf,
  number,
  ratiosOf,
  sizeOf,
  thousands,
} = require('./summary.js')

module.exports = { redisPart }

function redisPart(report, charts) {
  const out = [
    '## Redis',
    "memorystore-rs on Redis beside connect-redis on the same server: on a client of node-redis as it is by default, and on a tuned one, with `commandOptions: { timeout: undefined }`. Each store is in processes of its own; they take turns in every round. A page view is get, `createSession` and touch, as express-session makes them, its part included. A call has the 10th percentile of the rounds and, in brackets, the median. What follows “times faster” compares the 10th percentiles and, in brackets, is the median of the rounds' ratios. Processor times are medians, in microseconds of a call.",
  ]
  for (const params of configurations(report, 'redis')) {
    const of = (store) => find(report, 'redis', store, params)
    const stores = present(report, 'redis', params)
    for (const window of WINDOWS) {
      const title = `${redisTitle(params)}, ${inFlight(window)}`
      out.push(`### ${title}`, redisTable({ stores, of, window }))
    }
    if (params.processes > 1) out.push(...redisRates({ params, stores, of }))
    out.push(failures(report, 'redis', params))
    if (params.size === 400 && params.processes === 1) {
      charts['redis.svg'] = redisChart({ stores, of })
      out.push('![Redis](redis.svg)')
    }
  }
  return out.filter(Boolean).join('\n\n')
}

function redisTitle({ count, size, processes }) {
  const sessions = `${thousands(count)} sessions of ${sizeOf(size)}`
  return processes > 1 ? `${sessions} in ${processesOf(processes)}` : sessions
}

function redisTable({ stores, of, window }) {
  const others = stores.filter((store) => store !== OURS_REDIS && stores.includes(OURS_REDIS))
  const cell = (store, path) => {
    const [low, median] = [lowOf(of(store), path), medianOf(of(store), path)]
    return low === undefined ? '–' : `${number(low)} (${number(median)})`
  }
  const ratio = (store, path) => {
    const { low, median } = ratiosOf(of(store), of(OURS_REDIS), path)
    return median === undefined ? '–' : `${number(low)} (${number(median)})`
  }
  const cpu = (kind, side) =>
    stores.map((store) => {
      const value = medianOf(of(store), [window, kind, side])
      return value === undefined ? '–' : value.toFixed(1)
    })
  return table(
    [
      'µs',
      ...stores.map(nameOf),
      ...others.map((store) => `times faster than ${nameOf(store)}`),
      'client CPU of each',
      'server CPU of each',
    ],
    KINDS.map((kind) => [
      kind,
      ...stores.map((store) => cell(store, [window, kind, 'us'])),
      ...others.map((store) => ratio(store, [window, kind, 'us'])),
      ...['client', 'server'].map((side) => cpu(kind, side).join(' / ')),
    ]),
  )
}

function redisRates({ params, stores, of }) {
  const columns = WINDOWS.flatMap((window) => stores.map((store) => ({ store, window })))
  return [
    `### ${redisTitle(params)}: calls a second, of all processes`,
    table(
      ['calls/s', ...columns.map(({ store, window }) => `${nameOf(store)}, ${inFlight(window)}`)],
      KINDS.map((kind) => [
        kind,
        ...columns.map(({ store, window }) => cellOf(of(store), [window, kind, 'perSecond'])),
      ]),
    ),
  ]
}

function redisChart({ stores, of }) {
  const labels = WINDOWS.flatMap((window) => KINDS.map((kind) => ({ window, kind })))
  const labelOf = ({ window, kind }) => `${kind}, ${inFlight(window)}`
  return barChart({
    title: 'Time of a call on one Redis',
    subtitle: 'Shorter is better. 10th percentile of the rounds; sessions of 400 B.',
    unit: 'µs',
    ...bars(stores, labels.map(labelOf), (store, label) => {
      const { window, kind } = labels.find((each) => labelOf(each) === label)
      return lowOf(of(store), [window, kind, 'us'])
    }),
  })
}
