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

/** Why specs find stores on Redis different. */
const REASONS = {
  LATER: 'a call is done when the server has answered, not when it returns',
  ORDER: 'ids come in no particular order',
  EXPIRED: 'the server removes what has expired: it does not count, and is not disposed of',
  LIMITS: '`max` and `maxBytes` bound the near-cache, not the sessions',
  FIGURES: '`sessions`, `bytes` and evictions are those of the near-cache',
  PRUNE: '`prune` is the business of the server, and only removes copies here',
  CLOSE: 'close leaves the sessions on the server, and disposes of none',
  EXPIRY:
    'where only the expiry has moved, it is told by the server, give or take some milliseconds',
  NATIVE: 'it looks into the native store',
  UTF8: 'keys and texts are UTF-8 on the server',
}

/** Runs the spec `file`. The marks, and `isSerial`, are those of `runAgain`. */
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
      redis: createClient({ url: server.url, socket: { connectTimeout: 60_000 } }),
      prefix: `store-${++stores}:`,
    }
  }
  runAgain(file, adapt, { ...marks, hidden: ['redis', 'prefix', 'touchAfter', 'timeout'] })
}

module.exports = { REASONS, runOnRedis }
