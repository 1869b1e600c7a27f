'use strict'

/**
 * Names: what V8 takes to let its tables grow while one object gets a million properties, which is
 * what `all` returns. Each step adds one name, and there are few steps in a turn; the longest are
 * those in which a table is doubled. In milliseconds of work.
 *
 * A property's name is in two tables: in the one of all names, which V8 has for each thread, and in
 * that of the object. A `Map`, which is in neither, is measured beside them.
 */

const harness = require('../harness.js')
const { sidOf } = require('../sessions.js')

harness.runAsChild(module, measure)

/** How many names are added in a turn of the event loop. */
const A_TURN = 200

/** How many of the longest steps are told. */
const LONGEST = 4

async function measure({ count = 1_000_000 } = {}) {
  const names = []
  const known = Object.create(null)
  const fresh = Object.create(null)
  const map = new Map()
  return {
    'the names alone, in an object each': await longestSteps(count, (i) => {
      names.push(Object.keys({ [sidOf(i)]: i })[0])
    }),
    'an object, of names that V8 has': await longestSteps(count, (i) => (known[names[i]] = i)),
    'an object, of new names': await longestSteps(count, (i) => (fresh[sidOf(count + i)] = i)),
    'a Map': await longestSteps(count, (i) => map.set(sidOf(i), i)),
  }
}

/** Calls `step` with each number, and gives the longest of the calls. */
async function longestSteps(count, step) {
  const steps = []
  for (let i = 0; i < count;) {
    await harness.turn()
    for (const end = Math.min(count, i + A_TURN); i < end; i++) {
      const work = harness.startWork()
      step(i)
      steps.push({ at: i, ms: work() })
    }
    steps.sort((a, b) => b.ms - a.ms)
    steps.length = Math.min(steps.length, LONGEST)
  }
  return steps
}
