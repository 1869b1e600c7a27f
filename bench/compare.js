'use strict'

/**
 * Compares this build with another one: what a change costs.
 *
 *   node bench/compare.js <folder> [count ...] [--sessions realistic] [--in-flight n] [--rounds n]
 *
 * The folder is another checkout that was built. Both run the operations in turn, each round in a
 * process of its own, at the numbers of sessions given (10,000 and 1,000,000 by default).
 */

const { execFileSync } = require('node:child_process')
const { join, resolve } = require('node:path')
const { parseArgs } = require('node:util')
const harness = require('./harness.js')
const { KINDS } = require('./measurements/operations.js')
const { OURS } = require('./stores.js')

const MEASUREMENT = join(__dirname, 'measurements/operations.js')

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      sessions: { type: 'string' },
      'in-flight': { type: 'string', default: String(harness.WINDOW) },
      rounds: { type: 'string', default: '7' },
    },
  })
  const [folder, ...counts] = positionals
  if (!folder) {
    console.error('usage: node bench/compare.js <folder of the other build> [count ...]')
    process.exit(1)
  }
  const builds = [resolve(folder), resolve(__dirname, '..')]
  const [times, window] = [Number(values.rounds), Number(values['in-flight'])]
  const kind = values.sessions && { sessions: values.sessions }
  for (const count of counts.length > 0 ? counts.map(Number) : [10000, 1000000]) {
    const rounds = builds.map(() => [])
    for (let round = 0; round < times; round++) {
      // The first of a pair has the cooler processor: they take turns in that, too.
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
        rounds[i].push(measure(builds[i], { count, window, ...kind }))
      }
    }
    const about = `${count.toLocaleString('en')} ${values.sessions ?? 'incompressible'} sessions`
    print(`${about}, ${window} in flight, medians of ${times} rounds, µs`, rounds)
  }
}

function measure(build, { window, ...which }) {
  const params = {
    store: OURS,
    size: 400,
    cookie: 'plain',
    blocks: 5,
    calls: 20000,
    kinds: [...KINDS, 'set, merging'],
    windows: [window],
    ...which,
  }
  const output = execFileSync(
    process.execPath,
    ['--expose-gc', '--max-old-space-size=8192', MEASUREMENT, JSON.stringify(params)],
    { env: { ...process.env, MEMORYSTORE_RS_BUILD: build }, encoding: 'utf8' },
  )
  return JSON.parse(output).result[window]
}

function print(title, [other, own]) {
  console.log(`${title}: before, after, ratio`)
  console.log(`  ${''.padEnd(14)} ${'processor'.padStart(23)} ${'clock'.padStart(23)}`)
  for (const kind of Object.keys(own[0])) {
    const columns = ['cpu', 'us'].flatMap((time) => {
      const [before, after] = [other, own].map((rounds) =>
        median(rounds.map((round) => round[kind][time])),
      )
      return [before.toFixed(2), after.toFixed(2), (after / before).toFixed(3)]
    })
    console.log(`  ${kind.padEnd(14)} ${columns.map((figure) => figure.padStart(7)).join(' ')}`)
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

main()
