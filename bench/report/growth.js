'use strict'

/** The section on a store that grows. */

const { lineChart } = require('./charts.js')
const { LOOKS, NAMES, configurations, failures, nameOf, table } = require('./parts.js')
const { digits, entriesOf, number, sizeOf, thousands } = require('./summary.js')

module.exports = { growthPart }

const GROWTH = {
  request: { title: 'Time of a request (get, then touch)', unit: 'µs', of: (l) => l.us.request },
  set: { title: 'Time of a set', unit: 'µs', of: (l) => l.us.set },
  resident: {
    title: 'Resident memory of the process',
    unit: 'MB',
    logY: true,
    of: (l) => l.resident / 1e6,
  },
  collection: {
    title: 'Full garbage collection',
    unit: 'ms',
    logY: true,
    of: (l) => l.collection,
  },
}

function growthPart(report, charts) {
  const entries = entriesOf(report, 'growth')
  const stores = NAMES.filter((store) => entries.some((e) => e.store === store))
  const levelsOf = (store) =>
    entries.filter((e) => e.store === store).flatMap((e) => e.runs.at(-1)?.levels ?? [])
  const endOf = (store) => {
    const stopped = entries.find((e) => e.store === store && e.failed && e.loaded)
    return stopped ? ` (ends at ${digits(stopped.loaded)})` : ''
  }
  const counts = [...new Set(stores.flatMap((store) => levelsOf(store).map((l) => l.count)))]
  counts.sort((a, b) => a - b)
  const out = [
    '## Growth',
    "One store that grows, with Node's default flags: where a line stops with a cross, the process ended. Resident memory is that of the whole process, with connect-redis that of its server.",
  ]
  for (const [name, { title, unit, logY, of }] of Object.entries(GROWTH)) {
    const file = `growth-${name}.svg`
    charts[file] = lineChart({
      title,
      subtitle: `Lower is better. Sessions of ${sizeOf(entries[0].params.size)}, Node's default flags; a cross: the process ended there.`,
      xUnit: 'sessions, log',
      yUnit: unit,
      logY,
      series: stores.map((store) => ({
        color: LOOKS[store].color,
        name: nameOf(store) + endOf(store),
        points: levelsOf(store).map((level) => [level.count, Math.max(0.01, of(level))]),
        stops: endOf(store) !== '',
      })),
    })
    out.push(
      `### ${title}, ${unit}`,
      table(
        ['sessions', ...stores.map(nameOf)],
        counts.map((count) => [
          thousands(count),
          ...stores.map((store) => {
            const level = levelsOf(store).find((l) => l.count === count)
            return level ? number(of(level)) : '–'
          }),
        ]),
      ),
      `![${title}](${file})`,
    )
  }
  out.push(...configurations(report, 'growth').map((params) => failures(report, 'growth', params)))
  return out.filter(Boolean).join('\n\n')
}
