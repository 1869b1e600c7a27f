'use strict'

/** The section on the store on a path, which several processes share. */

const { KINDS, WINDOWS } = require('../measurements/shared.js')
const { PATH } = require('../stores.js')
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
const { cellOf, digits, find, medianOf, sizeOf, thousands } = require('./summary.js')

module.exports = { sharedPart }

function sharedPart(report, charts) {
  const parts = { operations: sharedOperations, waits: sharedWaits, start: sharedStart }
  const out = [
    '## One file, several processes',
    'The store on a `path` beside the one in memory, of which each process has one of its own with all of the sessions, and beside connect-redis, where all processes have one server.',
  ]
  for (const params of configurations(report, 'shared')) {
    const of = (store) => find(report, 'shared', store, params)
    const stores = present(report, 'shared', params)
    out.push(...parts[params.part]({ params, stores, of, charts }))
    out.push(failures(report, 'shared', params, params.part))
  }
  return out.filter(Boolean).join('\n\n')
}

function sharedOperations({ params, stores, of, charts }) {
  const title = `${thousands(params.count)} sessions of ${sizeOf(params.size)}`
  const columns = WINDOWS.flatMap((window) => stores.map((store) => ({ store, window })))
  const rows = params.processes.flatMap((number) =>
    KINDS.map((kind) => ({ number, kind, label: `${kind}, ${processesOf(number)}` })),
  )
  const tableOf = (unit, what) =>
    table(
      [unit, ...columns.map(({ store, window }) => `${nameOf(store)}, ${inFlight(window)}`)],
      rows.map(({ number, kind, label }) => [
        label,
        ...columns.map(({ store, window }) => cellOf(of(store), [number, window, kind, what])),
      ]),
    )
  const file = `shared-${digits(params.count)}.svg`
  const kinds = params.processes.flatMap((number) => WINDOWS.map((window) => ({ number, window })))
  const labelOf = ({ number, window }) => `${processesOf(number)}, ${inFlight(window)}`
  charts[file] = barChart({
    title: `Requests a second of all processes with ${title}`,
    subtitle: 'Longer is better. A request is get, then touch, without HTTP.',
    unit: '/s',
    ...bars(stores, kinds.map(labelOf), (store, label) => {
      const { number, window } = kinds.find((each) => labelOf(each) === label)
      return medianOf(of(store), [number, window, 'request', 'perSecond'])
    }),
  })
  return [
    `### ${title}: microseconds of a call, in each process`,
    tableOf('µs', 'us'),
    `### ${title}: calls a second, of all processes`,
    tableOf('calls/s', 'perSecond'),
    `![${title}](${file})`,
  ]
}

function sharedWaits({ params, stores, of }) {
  const found = of(PATH)
  const what = `${processesOf(Math.max(...params.processes))} writing`
  const phases = {
    'nothing expires': what,
    'a prune': `${what}, another one removes ${thousands(params.count)} expired sessions`,
  }
  return [
    '### How long a call holds the event loop',
    'Milliseconds: of get, set and touch of sessions that stay, at the process where it was worst. Beside the store, all of these processes wait for processors; what that comes to shows the store in memory.',
    table(
      ['hold, ms', 'store', 'p99', 'p99.9', 'longest'],
      Object.entries(phases).flatMap(([phase, label]) =>
        stores
          .filter((store) => medianOf(of(store), [phase, 'longest']) !== undefined)
          .map((store) => [
            label,
            nameOf(store),
            ...['p99', 'p99.9', 'longest'].map((name) => cellOf(of(store), [phase, name])),
          ]),
      ),
    ),
    found && `The prune took ${cellOf(found, ['a prune', 'ms'])} ms.`,
  ]
}

function sharedStart({ params, stores, of }) {
  const rows = {
    closed: 'after a start that was closed',
    killed: 'after a start that was killed (-9)',
  }
  return [
    `### Start, ${thousands(params.count)} sessions of ${sizeOf(params.size)} on disk`,
    'Milliseconds from before `require` of the package, Express having been loaded: until the store is open, and until the first request is answered, which reads a session and writes it. The file is in the memory of the system. In memory the store is empty.',
    table(
      ['ms', 'store', 'open', 'first answer'],
      Object.entries(rows).flatMap(([end, label]) =>
        stores
          .filter((store) => medianOf(of(store), [end, 'answer']) !== undefined)
          .map((store) => [
            label,
            nameOf(store),
            ...['open', 'answer'].map((name) => cellOf(of(store), [end, name])),
          ]),
      ),
    ),
    of(PATH) && `On disk a session takes ${cellOf(of(PATH), ['disk'])} B.`,
  ]
}
