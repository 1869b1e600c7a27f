'use strict'

/**
 * Runs a spec once more, with stores that keep their sessions in Redis or Valkey: every store that
 * it opens gets a `prefix` of its own, unless it has a `name` or a `path`.
 */

const { relative } = require('node:path')
const { ageServers } = require('./aging.js')

let server
let stores = 0

ageServers(() => String(server.port))

const test = require('ava')
const { createClient } = require('redis')
const { ROOT } = require('./process.js')
const { HOW_TO_GET, servers, startServer } = require('./redis-servers.js')
const { runAgain } = require('./run-again.js')

/** Runs the spec `file`. `different` and `skipped` are those of `runAgain`. */
function runOnRedis(file, marks) {
  if (servers().length === 0 && process.env.MEMORYSTORE_RS_REQUIRE_REDIS !== '1') {
    test.skip(`${relative(ROOT, file)} was left out on Redis: ${HOW_TO_GET}`, () => {})
    return
  }
  test.before('the server starts', async () => {
    server = await startServer()
  })
  const adapt = (options) => {
    if (options.name !== undefined || options.path !== undefined) return undefined
    // Every touch is done, as by the other kinds of store; and the machine may be busy.
    return {
      touchAfter: 0,
      timeout: 60_000,
      ...options,
      redis: createClient({ url: server.url }),
      prefix: `store-${++stores}:`,
    }
  }
  runAgain(file, adapt, { ...marks, hidden: ['redis', 'prefix', 'touchAfter', 'timeout'] })
}

module.exports = { runOnRedis }
