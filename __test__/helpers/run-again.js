'use strict'

/** Runs a spec once more, with stores of another kind. */

const { inspect } = require('node:util')

const PACKAGE = require.resolve('../..')

const createMemoryStore = require(PACKAGE)

/**
 * Runs the spec `file` with stores that get their options from `adapt(options)`; it returns
 * undefined for those that are left as they are. The names in `hidden` are options that the spec
 * does not know of.
 *
 * The tests in `different`, an object of titles and reasons, are expected to fail: there the two
 * kinds of store differ on purpose. Those in `skipped` are not run, because they would also fail
 * after their end, or not always. In those in `unordered`, lists are equal if they have the same
 * members.
 */
function runAgain(file, adapt, { different = {}, skipped = {}, unordered = {}, hidden = [] } = {}) {
  require.cache[PACKAGE].exports = adapted(adapt, hidden)
  const marks = new Map()
  for (const title of Object.keys(different)) marks.set(title, 'failing')
  for (const title of Object.keys(skipped)) marks.set(title, 'skip')
  for (const title of Object.keys(unordered)) marks.set(title, 'unordered')
  const AVA = require.resolve('ava')
  const test = require(AVA)
  require.cache[AVA].exports = marking(test, marks)
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
function marking(test, marks) {
  return new Proxy(test, {
    apply(target, self, args) {
      const mark = marks.get(args[0])
      marks.delete(args[0])
      if (mark === 'unordered') args[1] = unorderedly(args[1])
      else if (mark) target = target[mark]
      return Reflect.apply(target, self, args)
    },
    get(target, name) {
      const value = target[name]
      return name === 'serial' ? marking(value, marks) : value
    },
  })
}

/** The body of a test, in which the order in lists does not matter. */
function unorderedly(body) {
  const ordered = (value) => (Array.isArray(value) ? value.map(inspectAll).sort() : value)
  return (t, ...args) => {
    const lax = new Proxy(t, {
      get(target, name) {
        if (name === 'deepEqual') {
          return (actual, expected, message) =>
            target.deepEqual(ordered(actual), ordered(expected), message)
        }
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    return body(lax, ...args)
  }
}

/** All of a value as text. */
function inspectAll(value) {
  return inspect(value, { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity })
}

module.exports = { runAgain }
