'use strict'

/**
 * Compares this build with another one: what a change costs.
 *
 *   node bench/compare.js <folder> [count ...]
 *
 * The folder is another checkout that was built. Both run the operations in turn, each round in a
 * process of its own, at the numbers of sessions given (10,000 and 1,000,000 by default).
 */

const { execFileSync } = require('node:child_process')
const { join, resolve } = require('node:path')
const { KINDS } = require('./measurements/operations.js')
const { OURS } = require('./stores.js')

const ROUNDS = 7
const MEASUREMENT = join(__dirname, 'measurements/operations.js')

function main([folder, ...counts]) {
  if (!folder) {
    console.error('usage: node bench/compare.js <folder of the other build> [count ...]')
    process.exit(1)
  }
  const builds = [resolve(folder), resolve(__dirname, '..')]
  for (const count of counts.length > 0 ? counts.map(Number) : [10000, 1000000]) {
    const rounds = builds.map(() => [])
    for (let round = 0; round < ROUNDS; round++) {
      // The first of a pair has the cooler processor: they take turns in that, too.
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) rounds[i].push(measure(builds[i], count))
    }
    print(count, rounds)
  }
}

function measure(build, count) {
  const kinds = [...KINDS, 'set, merging']
  const params = { store: OURS, count, size: 400, cookie: 'plain', blocks: 5, calls: 20000, kinds }
  const output = execFileSync(
    process.execPath,
    ['--expose-gc', '--max-old-space-size=8192', MEASUREMENT, JSON.stringify(params)],
    { env: { ...process.env, MEMORYSTORE_RS_BUILD: build }, encoding: 'utf8' },
  )
  return JSON.parse(output).result.us
}

function print(count, [other, own]) {
  console.log(`${count.toLocaleString('en')} sessions of 400 B, medians of ${ROUNDS} rounds, µs`)
  for (const kind of Object.keys(own[0])) {
    const [before, after] = [other, own].map((rounds) => median(rounds.map((us) => us[kind])))
    const figures = [before.toFixed(2), after.toFixed(2), (after / before).toFixed(3)]
    console.log(`  ${kind.padEnd(14)} ${figures.map((figure) => figure.padStart(7)).join(' ')}`)
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

main(process.argv.slice(2))
