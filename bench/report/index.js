'use strict'

/**
 * Turns the raw results of a run into RESULTS.md and charts: medians over the rounds, with the
 * smallest and largest value, and the figures to reach as ratios to memorystore in the same run.
 */

const { writeFileSync } = require('node:fs')
const { isAbsolute, join, relative, sep } = require('node:path')
const { OURS_REDIS, PATH } = require('../stores.js')
const { figures, sharedFigures, redisFigures } = require('./figures.js')
const { eventLoopPart } = require('./event-loop.js')
const { growthPart } = require('./growth.js')
const { httpPart } = require('./http.js')
const { memoryPart } = require('./memory.js')
const { operationsPart } = require('./operations.js')
const { nameOf, table } = require('./parts.js')
const { ratiosPart } = require('./ratios.js')
const { redisPart } = require('./redis.js')
const { sharedPart } = require('./shared.js')
const { usersPart } = require('./users.js')

/** The folder of the benchmark. */
const BENCH = join(__dirname, '..')

module.exports = { write, describe }

/** Writes the report and the charts into `folder`. Returns the names of the files. */
function write(report, folder) {
  const charts = {}
  const parts = [head(report, folder), ratiosPart(report), figuresPart(report)]
  const writers = {
    operations: operationsPart,
    memory: memoryPart,
    'event-loop': eventLoopPart,
    http: httpPart,
    shared: sharedPart,
    users: usersPart,
    redis: redisPart,
    growth: growthPart,
  }
  for (const [section, part] of Object.entries(writers)) {
    if (report.sections[section]) parts.push(part(report, charts))
  }
  const files = { 'RESULTS.md': `${parts.filter(Boolean).join('\n\n')}\n`, ...charts }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  return ['latest.json', ...Object.keys(files)].map((name) => join(folder, name))
}

/** The machine and the versions, in a few lines. */
function describe({ cpu, cores, memoryGiB, os, node, v8, versions, heapFlag }) {
  const packages = Object.entries(versions).map(([name, v]) => `${name} ${v ?? '(not installed)'}`)
  return [
    `- ${cpu}, ${cores} cores, ${memoryGiB} GiB; ${os}`,
    `- Node.js ${node}, V8 ${v8}, started with ${heapFlag} except where it says default flags`,
    `- ${packages.join(', ')}`,
  ].join('\n')
}

function head({ environment, quick, started }, folder) {
  return [
    '# Results',
    quick
      ? 'A run with `--quick`: it shows that the benchmark works; its figures are too short to mean anything.'
      : `How these figures come about, and how to get your own: ${linkFrom(folder)}.`,
    `${describe(environment)}\n- ${started.slice(0, 10)}`,
    'A cell holds the median of the rounds and, in brackets, the smallest and the largest value. A dash: the store has no such method, or it was not measured. µs are microseconds.',
  ].join('\n\n')
}

/** A link to the README of the benchmark; only its name from a folder that is elsewhere. */
function linkFrom(folder) {
  const toFolder = relative(BENCH, folder)
  if (toFolder.startsWith('..') || isAbsolute(toFolder)) return '`bench/README.md`'
  return `[bench/README.md](${relative(folder, join(BENCH, 'README.md')).replaceAll(sep, '/')})`
}

function figuresPart(report) {
  const rows = figures(report).map(({ what, theirs, ours, ratio, target, reached }) => [
    what,
    theirs,
    ours,
    ratio,
    target,
    reached ? 'yes' : '**no**',
  ])
  const shared = sharedFigures(report).map((figure) => [
    ...['what', 'ours', 'beside', 'theirs', 'comparison', 'target'].map((name) => figure[name]),
    figure.reached ? 'yes' : '**no**',
  ])
  const onRedis = redisFigures(report).map((figure) => [
    ...['what', 'ours', 'theirs', 'comparison', 'target'].map((name) => figure[name]),
    figure.reached ? 'yes' : '**no**',
  ])
  const redisHeader = [
    'figure',
    nameOf(OURS_REDIS),
    'connect-redis: default, tuned',
    'times faster',
    'target',
    'reached',
  ]
  const header = ['figure', 'memorystore', 'memorystore-rs', 'ratio', 'target', 'reached']
  const sharedHeader = [
    'figure',
    nameOf(PATH),
    'beside',
    'its figure',
    'comparison',
    'target',
    'reached',
  ]
  return [
    rows.length + shared.length + onRedis.length > 0 && '## Figures to reach',
    rows.length > 0 && table(header, rows),
    shared.length > 0 && table(sharedHeader, shared),
    onRedis.length > 0 && table(redisHeader, onRedis),
  ]
    .filter(Boolean)
    .join('\n\n')
}
