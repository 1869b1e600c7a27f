'use strict'

/**
 * Runs a spec once more, with stores that keep their sessions in a file: every store that it
 * opens gets a `path` of its own, a new folder, unless it has a `name`.
 */

const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { runAgain } = require('./run-again.js')

// Stores that a test leaves open are let go when the process ends, so their folders go then.
const parent = mkdtempSync(path.join(tmpdir(), 'memorystore-rs-specs-'))
process.on('exit', () => rmSync(parent, { recursive: true, force: true }))

/** Files so small that hundreds of them do not fill the disk. */
const MAP_SIZE = 2 ** 22

/** Runs the spec `file`. `different` and `skipped` are those of `runAgain`. */
function runOnAPath(file, { mapSize = MAP_SIZE, ...marks } = {}) {
  const adapt = (options) => {
    if (options.name !== undefined || options.path !== undefined) return undefined
    return { mapSize, ...options, path: mkdtempSync(path.join(parent, 'store-')) }
  }
  runAgain(file, adapt, { ...marks, hidden: ['path', 'mapSize'] })
}

module.exports = { runOnAPath }
