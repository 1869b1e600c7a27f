'use strict'

/** Runs a spec once more, with stores of another kind. */

const { inspect } = require('node:util')

const PACKAGE = require.resolve('../..')

const createMemoryStore = require(PACKAGE)

const SECOND = 1000

const MINUTE = 60 * SECOND

const ISO_DATE = /^\d{4}-\d\d-\d\dT/

/** What ava calls these. */
const MARKS = { different: 'failing', skipped: 'skip' }

/**
 * Runs the spec `file` with stores that get their options from `adapt(options)`; it returns
 * undefined for those that are left as they are. The names in `hidden` are options that the spec
 * does not know of.
 *
 * The marks are objects of titles and reasons. Tests in `different` are expected to fail: there the
 * two kinds of store differ on purpose. Those in `skipped` are not run, because they would also fail
 * after their end, or not always. In those in `unordered` the order of lists does not matter, in
 * those in `inexact` a second does not. If `isSerial`, one test runs after the other.
 */
function runAgain(file, adapt, { hidden = [], isSerial = false, ...reasons } = {}) {
  require.cache[PACKAGE].exports = adapted(adapt, hidden)
  const marks = new Map()
  for (const [mark, titles] of Object.entries(reasons)) {
    for (const title of Object.keys(titles)) marks.set(title, mark)
  }
  const AVA = require.resolve('ava')
  const test = require(AVA)
  require.cache[AVA].exports = marking(test, marks, isSerial)
  require(file)
  require.cache[AVA].exports = test
  if (marks.size > 0) throw new Error(`${file} has no test called ${[...marks.keys()].join(', ')}`)
}

/** The package, with stores that get other options. */
function adapted(adapt, hidden) {
  return (...args) => {
    class MemoryStore extends createMemoryStore(...args) {
      constructor(options = {}) {
        const given = typeof options === 'number' ? { checkPeriod: options } : options
        const other = given === null ? undefined : adapt(given)
        super(other ?? options)
        if (other === undefined) return
        // The spec does not know of these.
        for (const name of hidden) {
          if (!(name in this.options) || Object.hasOwn(Object(given), name)) continue
          Object.defineProperty(this.options, name, { enumerable: false })
        }
      }
    }
    return MemoryStore
  }
}

/** ava's `test`, by which those whose titles are in `marks` are run as these say. */
function marking(test, marks, isSerial) {
  return new Proxy(test, {
    apply(target, self, args) {
      const mark = marks.get(args[0])
      marks.delete(args[0])
      const [title, body, ...rest] = args
      if (mark in LAX) args = [title, laxly(body, LAX[mark]), ...rest]
      const declare = (isSerial && target.serial) || target
      const isRun = mark === undefined || mark in LAX
      return Reflect.apply(isRun ? declare : declare[MARKS[mark]], self, args)
    },
    get(target, name) {
      const value = target[name]
      return name === 'serial' ? marking(value, marks) : value
    },
  })
}

/** The ways in which a test can be run with assertions that ask for less. */
const LAX = {
  /** Lists are equal if they have the same members. */
  unordered: {
    deepEqual: (t) => (actual, expected, message) =>
      t.deepEqual(sorted(actual), sorted(expected), message),
  },
  /** Times of a minute or more, and dates, are the same if they are a second apart at most. */
  inexact: {
    is: (t) => (actual, expected, message) =>
      Math.abs(timeOf(actual) - timeOf(expected)) <= SECOND
        ? t.pass(message)
        : t.is(actual, expected, message),
    deepEqual: (t) => (actual, expected, message) =>
      t.deepEqual(aligned(actual, expected), expected, message),
  },
}

/** The body of a test, with some of the assertions of its `t` replaced. */
function laxly(body, assertions) {
  return (t, ...args) => {
    const lax = new Proxy(t, {
      get(target, name) {
        if (Object.hasOwn(assertions, name)) return assertions[name](target)
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    return body(lax, ...args)
  }
}

/** The lists in `value`, which is one or not, each in an order of its own. */
function sorted(value) {
  if (!Array.isArray(value)) return value
  const textOf = (member) =>
    inspect(sorted(member), {
      depth: Infinity,
      maxArrayLength: Infinity,
      maxStringLength: Infinity,
    })
  return value.map(textOf).sort()
}

/** The same with times as they are expected, where they are a second apart at most. */
function aligned(actual, expected) {
  if (Math.abs(timeOf(actual) - timeOf(expected)) <= SECOND) return expected
  const isRecord = (value) => Object.getPrototypeOf(Object(value)) === Object.prototype
  if (!isRecord(actual) || !isRecord(expected)) return actual
  const entries = Object.entries(actual)
  return Object.fromEntries(entries.map(([name, value]) => [name, aligned(value, expected[name])]))
}

/** In milliseconds; NaN if it is no time. */
function timeOf(value) {
  if (value instanceof Date) return value.getTime()
  if (typeof value === 'string' && ISO_DATE.test(value)) return Date.parse(value)
  return typeof value === 'number' && value >= MINUTE ? value : NaN
}

module.exports = { runAgain }
