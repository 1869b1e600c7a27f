'use strict'

/**
 * Runs a spec once more, with stores that keep their sessions in a file: every store that it
 * opens gets a `path` of its own, a new folder, unless it has a `name`.
 */

const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const PACKAGE = require.resolve('../..')

// Stores that a test leaves open are let go when the process ends, so their folders go then.
const parent = mkdtempSync(path.join(tmpdir(), 'memorystore-rs-specs-'))
process.on('exit', () => rmSync(parent, { recursive: true, force: true }))

const createMemoryStore = require(PACKAGE)

/** Files so small that hundreds of them do not fill the disk. */
const MAP_SIZE = 2 ** 22

/** The package, with stores that get the `defaults` and a path. */
function onAPath(defaults) {
  return (...args) => {
    class MemoryStore extends createMemoryStore(...args) {
      constructor(options) {
        super(withPath(options, defaults))
        // These were not among the options that the test gave.
        for (const name of ['path', 'mapSize']) {
          if (this.options[name]) Object.defineProperty(this.options, name, { enumerable: false })
        }
      }
    }
    return MemoryStore
  }
}

function withPath(options = {}, defaults) {
  if (options === null || options.name !== undefined || options.path !== undefined) return options
  const given = typeof options === 'number' ? { checkPeriod: options } : options
  return { ...defaults, ...given, path: mkdtempSync(path.join(parent, 'store-')) }
}

/**
 * Runs the spec `file`. The tests in `different`, an object of titles and reasons, are expected to
 * fail: there the two kinds of store differ on purpose. Those in `skipped` are not run, because
 * they would also fail after their end.
 */
function runOnAPath(file, { different = {}, skipped = {}, mapSize = MAP_SIZE } = {}) {
  require.cache[PACKAGE].exports = onAPath({ mapSize })
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

module.exports = { runOnAPath }
