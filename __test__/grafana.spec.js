'use strict'

/** The dashboard for Grafana: its queries are PromQL, of metrics that prometheus.js registers. */

const { parser } = require('@prometheus-io/lezer-promql')
const client = require('prom-client')
const test = require('ava')
const dashboard = require('../grafana-dashboard.json')
const { collectStoreMetrics } = require('../prometheus.js')

/** Metrics that no panel shows, on purpose: none so far. */
const NOT_SHOWN = []

const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
const queries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
)
const variables = dashboard.templating.list

/** What `prometheus.js` registers for a store that has all figures, by name: its kind. */
function registered() {
  const register = new client.Registry()
  const figures = { anonymous: 0, evictionsOfUsers: 0, cacheHits: 0 }
  collectStoreMetrics({ stats: () => figures }, { client, register })
  return new Map(register.getMetricsAsArray().map(({ name, type }) => [name, type]))
}

/** The syntax errors of a query, the metrics it names, and those that it takes the rate of. */
function read(expr) {
  // What Grafana puts in the place of its variables.
  const text = expr.replaceAll(/\$__\w+/g, '5m').replaceAll(/\$\w+/g, 'x')
  const found = { errors: [], metrics: [], rates: [] }
  let ranges = 0
  parser.parse(text).iterate({
    enter({ type, name, from, to }) {
      if (type.isError) found.errors.push(`${from}: ${text.slice(from)}`)
      if (name === 'MatrixSelector') ranges++
      if (name !== 'Identifier') return
      found.metrics.push(text.slice(from, to))
      if (ranges > 0) found.rates.push(text.slice(from, to))
    },
    leave({ name }) {
      if (name === 'MatrixSelector') ranges--
    },
  })
  return found
}

test('a query with an error, a metric and a rate are recognised', (t) => {
  t.not(read('sum(rate(a[$__rate_interval])').errors.length, 0)
  t.not(read('sum by instance (a)').errors.length, 0)
  t.deepEqual(read('sum(rate(a{job=~"$job"}[$__rate_interval])) / (b + c)'), {
    errors: [],
    metrics: ['a', 'b', 'c'],
    rates: ['a'],
  })
})

test('every query is PromQL', (t) => {
  t.true(queries.length > 20)
  for (const { title, expr } of queries) t.deepEqual(read(expr).errors, [], `${title}: ${expr}`)
})

test('every query is of registered metrics, and of counters takes the rate', (t) => {
  const kinds = registered()
  for (const { title, expr } of queries) {
    const { metrics, rates } = read(expr)
    t.true(metrics.length > 0, expr)
    for (const name of metrics) {
      t.true(kinds.has(name), `${title}: ${name}`)
      t.is(rates.includes(name), kinds.get(name) === 'counter', `${title}: ${expr}`)
    }
  }
})

test('every registered metric is shown, unless it is left out on purpose', (t) => {
  const shown = new Set(queries.flatMap(({ expr }) => read(expr).metrics))
  const left = [...registered().keys()].filter((name) => !shown.has(name))
  t.deepEqual(left, NOT_SHOWN)
})

test('the data source, the job and the instances can be chosen', (t) => {
  t.deepEqual(
    variables.map(({ name, type }) => [name, type]),
    [
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ],
  )
  for (const { query } of variables.slice(1)) {
    const [, expr] = /^label_values\((.+), \w+\)$/.exec(query.query)
    const { errors, metrics } = read(expr)
    t.deepEqual(errors, [])
    t.true(metrics.every((name) => registered().has(name)))
  }
  const sources = [...panels.filter(({ type }) => type !== 'row'), ...variables.slice(1)]
  for (const { datasource } of sources) t.is(datasource.uid, '${datasource}')
  for (const { expr } of queries) t.true(expr.includes('{job=~"$job",instance=~"$instance"}'), expr)
})

test('panels have ids of their own and do not overlap', (t) => {
  t.is(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
  )
  t.is(new Set(cells).size, cells.length)
  t.true(panels.every(({ gridPos: { x, w } }) => x + w <= 24))
})
