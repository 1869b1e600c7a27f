'use strict'

// The benchmark: what its sessions are like, that the stores written by hand do their work, and what
// its report says of a run. That the whole of it works is shown by `npm run bench -- --quick`.

const { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { dirname, join, resolve } = require('node:path')
const test = require('ava')

const flood = require('../bench/flood')
const harness = require('../bench/harness')
const { write } = require('../bench/report')
const { CYCLE, longerMaker, sessionMaker } = require('../bench/sessions')
const { OURS, PEERS, openStore, reasonForAbsence } = require('../bench/stores')
const { ROOT } = require('./helpers/process')

const REALISTIC = { sessions: 'realistic', size: 400, expires: Date.UTC(2030, 0) }
const MANY = 2000

/** The member names of a value and the types in it. */
function shapeOf(value) {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (value === null || typeof value !== 'object') return typeof value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]))
}

const sizesOf = (make) => Array.from({ length: MANY }, (_, i) => jsonOf(make(i)).length)
const averageOf = (values) => values.reduce((sum, value) => sum + value) / values.length
const jsonOf = (session) => JSON.stringify(session)

test('realistic sessions have 350 to 400 bytes on average, those made longer a fifth more', (t) => {
  const average = averageOf(sizesOf(sessionMaker(REALISTIC)))
  t.true(average >= 350 && average <= 400, `${average}`)
  t.true(averageOf(sizesOf(longerMaker(REALISTIC))) > 1.15 * average)
})

test('realistic sessions are the same at each run, and all different', (t) => {
  const [one, other] = [sessionMaker(REALISTIC), sessionMaker(REALISTIC)]
  const texts = Array.from({ length: MANY }, (_, i) => jsonOf(one(i)))
  t.deepEqual(
    texts,
    Array.from({ length: MANY }, (_, i) => jsonOf(other(i))),
  )
  t.is(new Set(texts.map((text) => jsonOf({ ...JSON.parse(text), cookie: 0 }))).size, MANY)
})

test('realistic sessions are of several shapes, which a revision and a cycle keep', (t) => {
  const make = sessionMaker(REALISTIC)
  const shapes = new Set()
  for (let i = 0; i < CYCLE; i++) {
    const shape = shapeOf(make(i))
    shapes.add(jsonOf(shape))
    t.deepEqual(shapeOf(make(i, 1)), shape)
    t.deepEqual(shapeOf(make(i + CYCLE)), shape)
    t.notDeepEqual(make(i, 1), make(i))
  }
  t.true(shapes.size >= 5)
  const all = Array.from({ length: CYCLE }, (_, i) => make(i))
  t.true(all.some(({ user }) => user?.roles.length > 1))
  t.true(all.some(({ cart }) => cart?.items.length === 2))
  t.true(all.some(({ passport }) => passport === undefined))
})

for (const name of PEERS) {
  const absent = reasonForAbsence(name)
  const run = absent ? test.skip : test
  run(`the store by hand on ${name} does its work`, async (t) => {
    const path = mkdtempSync(join(tmpdir(), 'bench-peer-'))
    const make = sessionMaker(REALISTIC)
    const { store, stop } = await openStore(name, {}, { path, count: 100 })
    try {
      await harness.load(store, make, 0, 100)
      await t.notThrowsAsync(harness.check(name, store, make, 100))
    } finally {
      await stop()
      rmSync(path, { recursive: true, force: true })
    }
  })
}

/** A report of one round of operations, in which a call takes a store so many microseconds. */
function reportOf(times, params = { size: 400, cookie: 'plain', windows: [32, 512] }) {
  const entries = [10_000, 1_000_000].flatMap((count) =>
    Object.entries(times).map(([store, us]) => ({
      store,
      params: { count, ...params },
      runs: [{ 32: { request: { us, cpu: us } }, 512: { request: { us, cpu: us } } }],
    })),
  )
  const environment = { versions: {}, cpu: 'a processor', heapFlag: '' }
  return { environment, started: '2026-11-26', sections: { operations: entries } }
}

/** Gives the report as it is written into a new folder below `parent`. */
function reportIn(t, parent, report) {
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, 'report-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  write(report, folder)
  const path = join(folder, 'RESULTS.md')
  return { path, text: readFileSync(path, 'utf8') }
}

/** The cells of the row that begins with `title`. */
function rowOf(text, title) {
  const row = text.split('\n').find((line) => line.startsWith(`| ${title} |`))
  return row
    ?.split('|')
    .slice(2, -1)
    .map((cell) => cell.trim())
}

test('the report compares ratios with the goals', (t) => {
  const report = reportOf({ [OURS]: 1, memorystore: 6, 'lru-cache': 2 })
  const { text } = reportIn(t, tmpdir(), report)
  const row = (count) => rowOf(text, `request, incompressible, ${count} sessions`)
  t.deepEqual(row('10,000'), ['0.18', ...Array(4).fill('0.167'), 'yes'])
  t.deepEqual(row('1,000,000'), ['0.15', ...Array(4).fill('0.167'), '**no**'])
  t.is(rowOf(text, 'request, incompressible, 10,000 sessions, to lru-cache')[1], '0.5')
})

test('a goal is only reached with each number of calls in flight', (t) => {
  const report = reportOf({ [OURS]: 1, memorystore: 10 })
  for (const { store, runs } of report.sections.operations) {
    if (store === OURS) runs[0][512].request.cpu = 2
  }
  const { text } = reportIn(t, tmpdir(), report)
  const row = rowOf(text, 'request, incompressible, 10,000 sessions')
  t.deepEqual(row, ['0.18', '0.1', '0.1', '0.2', '0.1', '**no**'])
})

test('a store that is missing is left out of the table, with a line', (t) => {
  const report = reportOf({ [OURS]: 1, memorystore: 2, lmdb: 3 })
  for (const entry of report.sections.operations) {
    if (entry.store === 'lmdb') Object.assign(entry, { failed: 'lmdb not installed', runs: [] })
  }
  const { text } = reportIn(t, tmpdir(), report)
  t.true(text.includes('\n- lmdb: lmdb not installed\n'))
  t.false(/^\|.*lmdb/m.test(text))
})

test('the report links to the README of the benchmark from wherever it is below it', (t) => {
  const part = join(ROOT, 'bench/results/part')
  for (const parent of [part, join(part, 'nested')]) {
    const { path, text } = reportIn(t, parent, reportOf({ [OURS]: 1 }))
    const [, link] = /\[bench\/README\.md\]\((.*?)\)/.exec(text)
    t.true(existsSync(resolve(dirname(path), link)), link)
  }
  const { text } = reportIn(t, tmpdir(), reportOf({ [OURS]: 1 }))
  t.true(text.includes('`bench/README.md`'))
  t.false(text.includes(ROOT))
})

test('a flood of robots costs no user the session where the store knows whose sessions are', async (t) => {
  const results = await flood.measure({ users: 200, robots: 6000, room: 500 })
  const lost = Object.fromEntries(results.map(({ name, lost, logins }) => [name, [lost, logins]]))
  for (const name of [
    'memorystore-rs with `user`',
    'the same, `maxBytes`',
    'the same on a `path`',
  ]) {
    t.deepEqual(lost[name], [0, 0], name)
  }
  for (const name of ['memorystore', 'memorystore-rs', 'lru-cache by hand']) {
    t.true(lost[name][0] > 100 && lost[name][1] > 30, `${name}: ${lost[name]}`)
  }
})
