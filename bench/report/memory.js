'use strict'

/** The section on memory. */

const { FLOOR } = require('../stores.js')
const { barChart } = require('./charts.js')
const { NAMES, bars, configurations, failures, nameOf, sessionsOf, table } = require('./parts.js')
const { cellOf, entriesOf, find, medianOf } = require('./summary.js')

module.exports = { memoryPart }

const MEMORY = {
  resident: 'Resident bytes a session',
  heap: 'V8 heap bytes a session',
  collection: 'Full garbage collection, all alive, ms',
}

function memoryPart(report, charts) {
  const all = configurations(report, 'memory')
  const stores = NAMES.filter((store) => entriesOf(report, 'memory').some((e) => e.store === store))
  const out = [
    '## Memory',
    'Resident bytes of connect-redis are those of its server. What the floor shows is what filling a store leaves behind in a process without one.',
  ]
  for (const [what, title] of Object.entries(MEMORY)) {
    out.push(
      `### ${title}`,
      table(
        ['sessions', ...stores.map(nameOf)],
        all.map((params) => [
          sessionsOf(params).replace(' sessions', ''),
          ...stores.map((store) => cellOf(find(report, 'memory', store, params), [what])),
        ]),
      ),
    )
  }
  out.push(...all.map((params) => failures(report, 'memory', params)))
  const main = all.find(({ size }) => size === 400)
  if (main) {
    charts['memory.svg'] = barChart({
      title: `Memory of a session, ${sessionsOf(main)}`,
      subtitle: 'Shorter is better. Resident bytes of connect-redis are those of its server.',
      unit: 'bytes',
      ...bars(
        stores.filter((store) => store !== FLOOR),
        ['resident', 'heap'],
        (store, what) => medianOf(find(report, 'memory', store, main), [what]),
        { resident: 'resident', heap: 'V8 heap' },
      ),
    })
    charts['collection.svg'] = barChart({
      title: `A full garbage collection, ${sessionsOf(main)} alive`,
      subtitle: 'Shorter is better. The event loop stands still that long.',
      unit: 'ms',
      ...bars(stores, ['full collection'], (store) =>
        medianOf(find(report, 'memory', store, main), ['collection']),
      ),
    })
    out.push('![Memory of a session](memory.svg)', '![Full garbage collection](collection.svg)')
  }
  return out.filter(Boolean).join('\n\n')
}
