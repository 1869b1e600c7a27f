'use strict'

/** The section on how long calls hold the event loop. */

const { barChart } = require('./charts.js')
const { NAMES, bars, configurations, failures, nameOf, table } = require('./parts.js')
const { cellOf, entriesOf, medianOf, sizeOf, thousands } = require('./summary.js')

module.exports = { eventLoopPart }

function eventLoopPart(report, charts) {
  const entries = entriesOf(report, 'event-loop')
  const { count, size } = entries[0].params
  const stores = NAMES.filter((store) => entries.some((e) => e.store === store))
  const methods = [...new Set(entries.flatMap((e) => e.runs.flatMap((run) => Object.keys(run))))]
  const entryOf = (store, method) =>
    entries.find((e) => e.store === store && e.runs.some((run) => method in run))
  charts['event-loop.svg'] = barChart({
    title: `Longest time that the event loop stands still, ${thousands(count)} sessions`,
    subtitle:
      'Shorter is better; the axis is logarithmic. The longest gap between two turns of the loop.',
    unit: 'ms',
    log: true,
    ...bars(stores, methods, (store, method) => medianOf(entryOf(store, method), [method, 'gap'])),
  })
  return [
    '## Event loop',
    `Milliseconds, ${thousands(count)} sessions of ${sizeOf(size)}. First the longest time that one call holds the event loop, then the longest gap between two turns of it until the method has called back. With \`requests\`, requests for 10,000 other sessions are made all the while, and the calls are theirs.`,
    table(
      ['hold / gap, ms', ...stores.map(nameOf)],
      methods.map((method) => [
        method,
        ...stores.map((store) => {
          const entry = entryOf(store, method)
          if (!entry) return '–'
          return `${cellOf(entry, [method, 'hold'])} / ${cellOf(entry, [method, 'gap'])}`
        }),
      ]),
    ),
    ...configurations(report, 'event-loop').map((params) =>
      failures(report, 'event-loop', params, params.part),
    ),
    '![Longest time that the event loop stands still](event-loop.svg)',
  ]
    .filter(Boolean)
    .join('\n\n')
}
