'use strict'

/**
 * Turns the raw results of a run into RESULTS.md and charts: medians over the rounds, with the
 * smallest and largest value, and the figures to reach as ratios to memorystore in the same run.
 */

const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { barChart, lineChart } = require('./charts.js')
const { STORES, OURS, PATH, REDIS, REDIS_TUNED, OURS_REDIS, FLOOR } = require('./stores.js')
const { figures, sharedFigures, redisFigures } = require('./figures.js')
const { KINDS: REDIS_KINDS, WINDOWS: REDIS_WINDOWS } = require('./measurements/redis.js')
const { KINDS: SHARED_KINDS, WINDOWS } = require('./measurements/shared.js')
const {
  cellOf,
  medianOf,
  lowOf,
  ratiosOf,
  find,
  entriesOf,
  digits,
  number,
  thousands,
  sizeOf,
} = require('./summary.js')

module.exports = { write, describe }

const LOOKS = {
  [OURS]: { name: 'memorystore-rs', color: '#e8590c' },
  [PATH]: { name: 'memorystore-rs, path', color: '#b08800' },
  memorystore: { name: 'memorystore', color: '#4c7fd9' },
  MemoryStore: { name: 'express-session MemoryStore', color: '#a06cd5' },
  [REDIS]: { name: 'connect-redis', color: '#2f9e77' },
  [REDIS_TUNED]: { name: 'connect-redis, tuned', color: '#7fcbb0' },
  [OURS_REDIS]: { name: 'memorystore-rs, Redis', color: '#c92a2a' },
  [FLOOR]: { name: 'floor: JSON and callback', color: '#8b949e' },
}

const NAMES = Object.keys(STORES)

/** Writes the report and the charts into `folder`. Returns the names of the files. */
function write(report, folder) {
  const charts = {}
  const parts = [head(report), figuresPart(report)]
  const writers = {
    operations: operationsPart,
    memory: memoryPart,
    'event-loop': eventLoopPart,
    http: httpPart,
    shared: sharedPart,
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

function head({ environment, quick, started }) {
  return [
    '# Results',
    quick
      ? 'A run with `--quick`: it shows that the benchmark works; its figures are too short to mean anything.'
      : 'How these figures come about, and how to get your own: [bench/README.md](../README.md).',
    `${describe(environment)}\n- ${started.slice(0, 10)}`,
    'A cell holds the median of the rounds and, in brackets, the smallest and the largest value. A dash: the store has no such method, or it was not measured. µs are microseconds.',
  ].join('\n\n')
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

const KINDS = ['get', 'set', 'set, growing', 'set, new sid', 'touch', 'request']

function operationsPart(report, charts) {
  const out = [
    '## Operations',
    'Microseconds of a call, 32 in flight. `request` is get, then touch: what a page view costs a store.',
  ]
  for (const params of configurations(report, 'operations')) {
    const { count, size, cookie } = params
    const cell = (store, path) => cellOf(find(report, 'operations', store, params), path)
    const stores = present(report, 'operations', params)
    const alone = stores.includes(REDIS)
    const title = `${thousands(count)} sessions of ${sizeOf(size)}${cookie === 'express' ? ", with express-session's Cookie objects" : ''}`
    out.push(
      `### ${title}`,
      table(
        ['µs', ...stores.map(nameOf), ...(alone ? ['connect-redis, one at a time'] : [])],
        KINDS.map((kind) => [
          kind,
          ...stores.map((store) => cell(store, ['us', kind])),
          ...(alone ? [cell(REDIS, ['alone', kind])] : []),
        ]),
      ),
      failures(report, 'operations', params),
    )
    if (size === 400 && cookie === 'plain') {
      const file = `operations-${digits(count)}.svg`
      charts[file] = barChart({
        title: `Time of a call with ${title}`,
        subtitle:
          'Shorter is better. Median of the rounds, 32 calls in flight, callbacks included.',
        unit: 'µs',
        ...bars(stores, KINDS, (store, kind) =>
          medianOf(find(report, 'operations', store, params), ['us', kind]),
        ),
      })
      out.push(`![${title}](${file})`)
    }
  }
  return out.filter(Boolean).join('\n\n')
}

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
          `${thousands(params.count)} of ${sizeOf(params.size)}`,
          ...stores.map((store) => cellOf(find(report, 'memory', store, params), [what])),
        ]),
      ),
    )
  }
  out.push(...all.map((params) => failures(report, 'memory', params)))
  const main = all.find(({ size }) => size === 400)
  if (main) {
    charts['memory.svg'] = barChart({
      title: `Memory of a session, ${thousands(main.count)} sessions of ${sizeOf(main.size)}`,
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
      title: `A full garbage collection, ${thousands(main.count)} sessions alive`,
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
    SHARED_KINDS.map((kind) => ({ number, kind, label: `${kind}, ${processesOf(number)}` })),
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

function redisPart(report, charts) {
  const out = [
    '## Redis',
    "memorystore-rs on Redis beside connect-redis on the same server: on a client of node-redis as it is by default, and on a tuned one, with `commandOptions: { timeout: undefined }`. Each store is in processes of its own; they take turns in every round. A page view is get, `createSession` and touch, as express-session makes them, its part included. A call has the 10th percentile of the rounds and, in brackets, the median. What follows “times faster” compares the 10th percentiles and, in brackets, is the median of the rounds' ratios. Processor times are medians, in microseconds of a call.",
  ]
  for (const params of configurations(report, 'redis')) {
    const of = (store) => find(report, 'redis', store, params)
    const stores = present(report, 'redis', params)
    for (const window of REDIS_WINDOWS) {
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
    REDIS_KINDS.map((kind) => [
      kind,
      ...stores.map((store) => cell(store, [window, kind, 'us'])),
      ...others.map((store) => ratio(store, [window, kind, 'us'])),
      ...['client', 'server'].map((side) => cpu(kind, side).join(' / ')),
    ]),
  )
}

function redisRates({ params, stores, of }) {
  const columns = REDIS_WINDOWS.flatMap((window) => stores.map((store) => ({ store, window })))
  return [
    `### ${redisTitle(params)}: calls a second, of all processes`,
    table(
      ['calls/s', ...columns.map(({ store, window }) => `${nameOf(store)}, ${inFlight(window)}`)],
      REDIS_KINDS.map((kind) => [
        kind,
        ...columns.map(({ store, window }) => cellOf(of(store), [window, kind, 'perSecond'])),
      ]),
    ),
  ]
}

function redisChart({ stores, of }) {
  const labels = REDIS_WINDOWS.flatMap((window) => REDIS_KINDS.map((kind) => ({ window, kind })))
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

function inFlight(window) {
  return window === 1 ? 'one at a time' : `${window} in flight`
}

function processesOf(number) {
  return `${number} process${number === 1 ? '' : 'es'}`
}

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

/** Series and groups of a bar chart, without the stores that have nothing to show. */
function bars(stores, labels, valueOf, titles = {}) {
  const shown = stores.filter((store) => labels.some((l) => valueOf(store, l) !== undefined))
  return {
    series: shown.map((store) => LOOKS[store]),
    groups: labels.map((label) => ({
      label: titles[label] ?? label,
      values: shown.map((store) => valueOf(store, label)),
    })),
  }
}

/** The configurations of a section, in the order in which they were measured. */
function configurations(report, section) {
  const texts = entriesOf(report, section).map((e) => JSON.stringify(e.params))
  return [...new Set(texts)].map((each) => JSON.parse(each))
}

function present(report, section, params) {
  return NAMES.filter((store) => find(report, section, store, params))
}

/** What went wrong, as a list. */
function failures(report, section, params, about) {
  return entriesOf(report, section)
    .filter((e) => e.failed && JSON.stringify(e.params) === JSON.stringify(params))
    .map((e) => `- ${nameOf(e.store)}${about ? `, ${about}` : ''}: ${e.failed}`)
    .join('\n')
}

function nameOf(store) {
  return LOOKS[store].name
}

function table(header, rows) {
  const line = (cells) => `| ${cells.map((c) => String(c).replaceAll('|', '\\|')).join(' | ')} |`
  const align = header.map((_, n) => (n === 0 ? '---' : '--:'))
  return [line(header), line(align), ...rows.map(line)].join('\n')
}
