#!/usr/bin/env node
'use strict'

/**
 * The runner: starts each measurement in a process of its own, one after another, and writes what
 * they find. `node bench --help` tells the options.
 */

const { fork } = require('node:child_process')
const { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const { join, resolve } = require('node:path')
const { parseArgs } = require('node:util')
const { startServer } = require('../__test__/helpers/redis-servers.js')
const { environment, redisServer, heapFlag } = require('./environment.js')
const { WINDOWS } = require('./measurements/operations.js')
const { planOf, SECTIONS } = require('./plan.js')
const { write, describe } = require('./report/index.js')
const { STORES, OURS, ON_DISK, ON_REDIS, makeFolder, reasonForAbsence } = require('./stores.js')

const HELP = `Measures memorystore-rs beside what one would use instead.

  npm run bench -- [options]

  --quick             small stores and few rounds, about two minutes: shows that it works
  --only a,b          of ${SECTIONS.join(', ')}
  --stores a,b        of ${Object.keys(STORES).join(', ')}
  --counts 10k,1m     only these numbers of sessions (in growth: these instead of the usual)
  --in-flight a,b     only with so many calls in flight in operations, instead of with ${WINDOWS.join(' and ')}
  --rounds n          instead of what the plan says
  --out folder        where the results go; bench/results for a whole run, else bench/results/part
  --merge             keep what an earlier run on the same machine and versions left in the folder
                      for the sections that are not measured now
  --report            measure nothing, write the report and charts of the folder's latest.json anew
  --help
`

/** How long a process may be silent before it counts as stuck, in milliseconds. */
const SILENCE = 300000

/** What a stored session takes besides its body at most, for the check that memory suffices. */
const OVERHEAD = 600

/** What has to end before the runner does. */
const cleanups = new Set()

main().catch((error) => {
  cleanUp()
  console.error(error.message)
  process.exit(1)
})

async function main() {
  const options = readOptions()
  if (options.help) return void process.stdout.write(HELP)
  const file = join(options.out, 'latest.json')
  if (options.report) return finish(JSON.parse(readFileSync(file, 'utf8')), options.out)

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      cleanUp()
      process.exit(128 + os.constants.signals[signal])
    })
  }
  const report = {
    environment: environment(),
    quick: options.quick,
    started: new Date().toISOString(),
    sections: {},
  }
  say(describe(report.environment))
  // Before the measurements, lest it turns out after them that it cannot be kept.
  const kept = options.merge ? sectionsOf(file, report.environment) : {}
  await run(planOf(options), report)
  report.finished = new Date().toISOString()
  report.sections = { ...kept, ...report.sections }
  finish(report, options.out)
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      stores: { type: 'string' },
      counts: { type: 'string' },
      rounds: { type: 'string' },
      'in-flight': { type: 'string' },
      out: { type: 'string' },
      merge: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const only = listOf(values.only, SECTIONS)
  const stores = listOf(values.stores, Object.keys(STORES))
  const counts = values.counts?.split(',').map(countOf)
  const rounds = values.rounds === undefined ? undefined : countOf(values.rounds)
  const windows = values['in-flight']?.split(',').map(countOf)
  const whole = !(values.quick || only || stores || counts || rounds || windows)
  const folder = whole || values.report || values.merge ? 'results' : 'results/part'
  const out = values.out ? resolve(values.out) : join(__dirname, folder)
  return { ...values, only, stores, counts, rounds, windows, out }
}

function listOf(text, known) {
  const names = text?.split(',')
  const unknown = names?.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${known.join(', ')}`)
  return names
}

function countOf(text) {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([km]?)$/i.exec(text) ?? []
  const count = Number(digits) * { '': 1, k: 1e3, m: 1e6 }[unit?.toLowerCase()]
  if (!(count >= 1)) throw new Error(`"${text}" is no number such as 3, 10k or 1m`)
  return Math.round(count)
}

/** The sections of an earlier report, if it can stand beside figures from here. */
function sectionsOf(file, here) {
  if (!existsSync(file)) return {}
  const earlier = JSON.parse(readFileSync(file, 'utf8'))
  if (JSON.stringify(earlier.environment) !== JSON.stringify(here)) {
    throw new Error('--merge: the earlier results are of another machine or other versions')
  }
  return earlier.sections
}

function finish(report, folder) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(report, null, 1)}\n`)
  for (const name of write(report, folder)) say(`written: ${name}`)
}

async function run(jobs, report) {
  for (const [n, job] of jobs.entries()) {
    const { section, params, round, rounds, stores = [job.store] } = job
    const all = (report.sections[section] ??= [])
    const entries = stores.map((store) => entryOf(all, store, params))
    const who = stores.join(' beside ')
    const name = `[${n + 1}/${jobs.length}] ${section} ${nameOf(params)}, ${who}, round ${round}/${rounds}`
    const skipped = entries[0].failed ?? firstOf(stores, (store) => reasonToSkip(store, params))
    if (skipped) {
      for (const entry of entries) entry.failed = skipped
      say(`${name}: left out, ${skipped}`)
      continue
    }
    const begin = performance.now()
    const { result, failed, loaded } = await measure({ ...job, stores })
    say(
      `${name}: ${((performance.now() - begin) / 1000).toFixed(1)} s${failed ? `, ${failed}` : ''}`,
    )
    for (const entry of entries) {
      // A process that ran out of memory would do so again.
      if (failed) Object.assign(entry, { failed, loaded })
      if (result) entry.runs.push(...(job.stores ? result[entry.store] : [result]))
    }
  }
}

function firstOf(items, of) {
  for (const item of items) {
    const found = of(item)
    if (found !== undefined) return found
  }
  return undefined
}

function entryOf(entries, store, params) {
  const key = JSON.stringify(params)
  let entry = entries.find((e) => e.store === store && JSON.stringify(e.params) === key)
  if (!entry)
    entries.push((entry = { store, params, measured: new Date().toISOString(), runs: [] }))
  return entry
}

function nameOf({ part, count, counts, growTo, size, sessions: kind, cookie, processes }) {
  const sessions = (part === 'grow' ? growTo : (count ?? counts.at(-1))).toLocaleString('en')
  const about = [
    part,
    `${sessions} x ${size} B`,
    kind,
    cookie === 'express' && 'Cookie objects',
    processes > 1 && `${processes} processes`,
  ]
  return about.filter(Boolean).join(' ')
}

function reasonToSkip(store, { count, size, part, growTo, processes }) {
  const absent = reasonForAbsence(store)
  if (absent) return absent
  if (ON_REDIS.includes(store) && !redisServer()) return 'there is no redis-server'
  const needed = (part === 'grow' ? growTo : (count ?? 0)) * (size + OVERHEAD)
  const stores = store === OURS && processes ? Math.max(...processes) : 1
  if (needed * stores > os.freemem()) return 'too little free memory'
  if (ON_DISK.includes(store) && 2 * needed > freeDisk()) return 'too little room on the disk'
  return undefined
}

/** The bytes that are free where temporary files go. */
function freeDisk() {
  const { bavail, bsize } = statfsSync(os.tmpdir())
  return bavail * bsize
}

/** Runs one measurement. Returns its `result`, why it `failed`, or both if it got part of the way. */
async function measure({ section, store, stores, params }) {
  let stop = () => {}
  try {
    const where = {}
    if (ON_REDIS.includes(stores[0])) {
      const redis = await startServer(redisServer())
      where.redisPort = redis.port
      stop = redis.kill
    } else if (ON_DISK.includes(store)) {
      const { path, remove } = makeFolder()
      where.path = path
      stop = remove
    }
    cleanups.add(stop)
    return await runChild(section, { ...params, ...(store ? { store } : { stores }), ...where })
  } catch (error) {
    return { failed: error.message }
  } finally {
    stop()
    cleanups.delete(stop)
  }
}

function runChild(section, params) {
  const execArgv = ['--expose-gc']
  if (section !== 'growth') execArgv.push(heapFlag())
  const child = fork(join(__dirname, 'measurements', `${section}.js`), [JSON.stringify(params)], {
    execArgv,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const kill = () => child.kill('SIGKILL')
  cleanups.add(kill)

  return new Promise((finished) => {
    const known = {}
    let errors = ''
    let stuck = false
    const giveUp = () => {
      stuck = true
      kill()
    }
    let silence = setTimeout(giveUp, SILENCE)
    child.stderr.on('data', (data) => (errors = (errors + data).slice(-8000)))
    child.on('message', ({ kind, value }) => {
      clearTimeout(silence)
      silence = setTimeout(giveUp, SILENCE)
      known[kind] = value
    })
    child.on('error', (error) => (known.failed = error.message))
    child.on('close', (code, signal) => {
      clearTimeout(silence)
      cleanups.delete(kill)
      if (known.result) return finished({ result: known.result })
      const why = stuck ? 'no progress for 5 minutes' : reasonOf(known.failed, errors, code, signal)
      const at = known.loaded ? ` after ${known.loaded.toLocaleString('en')} sessions` : ''
      finished({ failed: why + at, loaded: known.loaded, result: known.partial })
    })
  })
}

/** Why a process ended without a result. */
function reasonOf(failed, errors, code, signal) {
  if (failed) return failed
  if (/heap out of memory/.test(errors)) return 'V8 heap exhausted'
  if (/^RangeError: .*$/m.test(errors)) return /^RangeError: .*$/m.exec(errors)[0]
  if (signal === 'SIGKILL') return 'killed by the system, most likely for lack of memory'
  const message = /^\w*Error: .*$/m.exec(errors)?.[0]
  return message ?? `the process ended with ${signal ?? code}`
}

function cleanUp() {
  for (const stop of cleanups) stop()
}

function say(text) {
  process.stderr.write(`${text}\n`)
}
