'use strict'

/** Runs the tests of a spec on each server of this machine; see redis-servers.js. */

const { relative } = require('node:path')
const { fileURLToPath } = require('node:url')
const test = require('ava')
const { ROOT } = require('./process.js')
const { HOW_TO_GET, KINDS, servers } = require('./redis-servers.js')

module.exports = { onEachServer }

/**
 * Calls `register(test, server)` for each of `servers()`. The titles of what it registers begin
 * with the server's name. Without any server the spec has one test, which is skipped; where
 * MEMORYSTORE_RS_REQUIRE_REDIS=1 it has a test that fails for each server that is not there.
 */
function onEachServer(register) {
  const found = servers()
  for (const server of found) {
    register(prefixed(test, `${server.name} ${server.version}: `), server)
  }
  if (process.env.MEMORYSTORE_RS_REQUIRE_REDIS === '1') {
    for (const { name, program, variable } of KINDS) {
      if (found.some((server) => server.name === name)) continue
      test(`${name} is there`, (t) => t.fail(`put ${program} on the PATH, or set ${variable}`))
    }
  } else if (found.length === 0) {
    const spec = relative(ROOT, fileURLToPath(test.meta.file))
    test.skip(`${spec} was left out, without a server: ${HOW_TO_GET}`, () => {})
  }
}

/** ava's `test`, with titles that begin with `prefix`; hooks have titles of their own. */
function prefixed(declare, prefix) {
  return new Proxy(declare, {
    apply: (target, self, [title, ...rest]) =>
      typeof title === 'string' ? target(prefix + title, ...rest) : target(title, ...rest),
    get: (target, name) =>
      typeof target[name] === 'function' ? prefixed(target[name], prefix) : target[name],
  })
}
