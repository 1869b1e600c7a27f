'use strict'

/**
 * What memorystore-rs takes as a ratio to memorystore, and to a store by hand on lru-cache, in the
 * same run, beside the goals.
 */

const { OURS, LRU_CACHE } = require('../stores.js')
const { WINDOWS } = require('../measurements/operations.js')
const { configurations, inFlight, nameOf, present, sessionsOf, table } = require('./parts.js')
const { entriesOf, find, medianOf, number, thousands } = require('./summary.js')

module.exports = { ratiosPart }

const THEIRS = 'memorystore'

/**
 * The ratios to reach, at ten thousand and at a million sessions of 400 bytes: incompressible ones
 * where it does not say realistic.
 */
const GOALS = [
  { kind: 'request', goals: [0.18, 0.15] },
  { kind: 'request', sessions: 'realistic', goals: [0.22, 0.18] },
  { kind: 'get', goals: [0.33, 0.3] },
  { kind: 'get', sessions: 'realistic', goals: [0.5, 0.35] },
  { kind: 'set', goals: [0.95, 0.5] },
  { kind: 'set', sessions: 'realistic' },
  { kind: 'touch', goals: [0.12, 0.09] },
  { kind: 'touch', sessions: 'realistic' },
  { kind: 'request', beside: LRU_CACHE, goals: [0.65, 0.4] },
  { kind: 'request', sessions: 'realistic', beside: LRU_CACHE },
]

const RESIDENT_GOALS = [{ goal: 0.48 }, { sessions: 'realistic', goal: 0.3 }]

/** The kinds of which the ratios of all stores are shown. */
const SHOWN = ['request', 'get', 'set', 'touch']

function ratiosPart(report) {
  const compared = configurations(report, 'operations').filter(isCompared)
  const rows = [...ofOperations(report, compared), ...ofMemory(report)]
  if (rows.length === 0) return undefined
  return [
    '## Ratios',
    'What memorystore-rs takes divided by what memorystore, or lru-cache, takes in the same run: medians, for sessions of 400 bytes. A goal is reached if the processor time is at most that, with each number of calls in flight.',
    table(
      [
        'ratio',
        'goal',
        ...WINDOWS.flatMap((window) => [
          `${inFlight(window)}, processor`,
          `${inFlight(window)}, clock`,
        ]),
        'reached',
      ],
      rows,
    ),
    ...compared.flatMap((params) => besideAll(report, params)),
  ].join('\n\n')
}

function isCompared({ size, cookie, count }) {
  return size === 400 && cookie === 'plain' && count <= 1e6
}

function ofOperations(report, compared) {
  const counts = [...new Set(compared.map(({ count }) => count))].sort((a, b) => a - b)
  return GOALS.flatMap(({ kind, sessions, beside = THEIRS, goals }) =>
    counts.flatMap((count) => {
      const params = compared.find((each) => each.count === count && each.sessions === sessions)
      const ratio = (window, time) => ratioTo(beside, report, params, [window, kind, time])
      const all = WINDOWS.map((window) => ({
        cpu: ratio(window, 'cpu'),
        us: ratio(window, 'us'),
      }))
      if (!params || all.every(({ us }) => us === undefined)) return []
      const what = `${kind}, ${describe(sessions)}, ${thousands(count)} sessions`
      const goal = goals?.[count > 10000 ? 1 : 0]
      return [
        [
          beside === THEIRS ? what : `${what}, to ${nameOf(beside)}`,
          goal ?? '–',
          ...all.flatMap(({ cpu, us }) => [show(cpu), show(us)]),
          verdict(
            goal,
            all.map(({ cpu }) => cpu),
          ),
        ],
      ]
    }),
  )
}

function ofMemory(report) {
  return RESIDENT_GOALS.flatMap(({ sessions, goal }) => {
    const params = entriesOf(report, 'memory')
      .map((entry) => entry.params)
      .filter((each) => each.size === 400 && each.sessions === sessions)
      .sort((a, b) => b.count - a.count)[0]
    const ratio = params && ratioOf('memory', THEIRS, report, params, ['resident'])
    if (ratio === undefined) return []
    const what = `resident bytes, ${describe(sessions)}, ${thousands(params.count)} sessions`
    const cells = WINDOWS.flatMap((_, n) => (n === 0 ? [show(ratio), '–'] : ['–', '–']))
    return [[what, goal, ...cells, verdict(goal, [ratio])]]
  })
}

/** All stores of a configuration beside memorystore. */
function besideAll(report, params) {
  const { windows = WINDOWS.slice(0, 1) } = params
  const path = (kind) => [windows[0], kind, 'cpu']
  const stores = present(report, 'operations', params).filter(
    (store) => medianOf(find(report, 'operations', store, params), path('get')) !== undefined,
  )
  if (!stores.includes(THEIRS)) return []
  return [
    `### ${sessionsOf(params)}: processor time of every store as a ratio to that of memorystore, ${inFlight(windows[0])}`,
    table(
      ['ratio', ...stores.map(nameOf)],
      SHOWN.map((kind) => [
        kind,
        ...stores.map((store) =>
          show(
            medianOf(find(report, 'operations', store, params), path(kind)) /
              medianOf(find(report, 'operations', THEIRS, params), path(kind)),
          ),
        ),
      ]),
    ),
  ]
}

function ratioTo(beside, report, params, path) {
  return params && ratioOf('operations', beside, report, params, path)
}

/** The ratio of the medians; undefined where one of the two was not measured. */
function ratioOf(section, beside, report, params, path) {
  const [ours, theirs] = [OURS, beside].map((store) =>
    medianOf(find(report, section, store, params), path),
  )
  return ours === undefined || theirs === undefined ? undefined : ours / theirs
}

/** Whether all ratios that were measured are at most the goal. */
function verdict(goal, ratios) {
  const measured = ratios.filter((ratio) => ratio !== undefined)
  if (goal === undefined || measured.length === 0) return '–'
  return measured.every((ratio) => ratio <= goal) ? 'yes' : '**no**'
}

function describe(sessions = 'incompressible') {
  return sessions
}

function show(ratio) {
  return Number.isFinite(ratio) ? number(ratio) : '–'
}
