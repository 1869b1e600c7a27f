'use strict'

/** The section on HTTP. */

const { barChart } = require('./charts.js')
const { bars, configurations, failures, nameOf, present, table } = require('./parts.js')
const { cellOf, digits, find, medianOf, sizeOf, thousands } = require('./summary.js')

module.exports = { httpPart }

const LATENCIES = ['p50', 'p99', 'p99.9', 'max']

function httpPart(report, charts) {
  const out = [
    '## HTTP',
    'Express with express-session, checkPeriod 2 s, ten connections of autocannon from another process; latencies in milliseconds.',
  ]
  for (const params of configurations(report, 'http')) {
    const stores = present(report, 'http', params)
    const title = `${thousands(params.count)} sessions of ${sizeOf(params.size)}`
    const median = (store, page, what) =>
      medianOf(find(report, 'http', store, params), [page, what])
    for (const page of ['read', 'write']) {
      out.push(
        `### ${title}, a page that ${page}s the session`,
        table(
          ['store', 'requests/s', ...LATENCIES],
          stores.map((store) => [
            nameOf(store),
            ...['perSecond', ...LATENCIES].map((what) =>
              cellOf(find(report, 'http', store, params), [page, what]),
            ),
          ]),
        ),
      )
    }
    const file = `http-${digits(params.count)}.svg`
    charts[file] = barChart({
      title: `HTTP latency with ${title}`,
      subtitle:
        'Shorter is better; the axis is logarithmic. Express and express-session, checkPeriod 2 s.',
      unit: 'ms',
      log: true,
      ...bars(
        stores,
        ['read', 'write'].flatMap((page) => LATENCIES.map((what) => `${page}, ${what}`)),
        (store, label) => median(store, ...label.split(', ')),
      ),
    })
    const rates = `http-rate-${digits(params.count)}.svg`
    charts[rates] = barChart({
      title: `HTTP requests a second with ${title}`,
      subtitle: 'Longer is better. Express and express-session, checkPeriod 2 s.',
      unit: '/s',
      ...bars(stores, ['read', 'write'], (store, page) => median(store, page, 'perSecond')),
    })
    out.push(failures(report, 'http', params), `![Latency, ${title}](${file})`)
    out.push(`![Requests a second, ${title}](${rates})`)
  }
  return out.filter(Boolean).join('\n\n')
}
