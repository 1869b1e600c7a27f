'use strict'

/** Runs a spec once more, with stores of another kind. */

const PACKAGE = require.resolve('../..')

const createMemoryStore = require(PACKAGE)

/**
 * Runs the spec `file` with stores that get their options from `adapt(options)`; it returns
 * undefined for those that are left as they are. The names in `hidden` are options that the spec
 * does not know of.
 *
 * The tests in `different`, an object of titles and reasons, are expected to fail: there the two
 * kinds of store differ on purpose. Those in `skipped` are not run, because they would also fail
 * after their end.
 */
function runAgain(file, adapt, { different = {}, skipped = {}, hidden = [] } = {}) {
  require.cache[PACKAGE].exports = adapted(adapt, hidden)
  const marks = new Map()
  for (const title of Object.keys(different)) marks.set(title, 'failing')
  for (const title of Object.keys(skipped)) marks.set(title, 'skip')
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
          if (!(name in this.options) || name in given) continue
          Object.defineProperty(this.options, name, { enumerable: false })
        }
      }
    }
    return MemoryStore
  }
}

/** ava's `test`, by which those whose titles are in `marks` are to fail, or skipped. */
function marking(test, marks) {
  return new Proxy(test, {
    apply(target, self, args) {
      const mark = marks.get(args[0])
      marks.delete(args[0])
      return Reflect.apply(mark ? target[mark] : target, self, args)
    },
    get(target, name) {
      const value = target[name]
      return name === 'serial' ? marking(value, marks) : value
    },
  })
}

module.exports = { runAgain }
