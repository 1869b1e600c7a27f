'use strict'

/** Stores of other packages' kinds, on which a store can be. */

// Captured at load time: tests fake them.
const { setImmediate } = require('node:timers')
const session = require('express-session')

/** express-session's own store, behind something like a network: calls take a while there and back. */
class SlowStore extends session.Store {
  memory = new session.MemoryStore()
}

for (const method of ['get', 'set', 'touch', 'destroy', 'all', 'length', 'clear']) {
  SlowStore.prototype[method] = function (...args) {
    const fn = args.pop()
    setImmediate(() => {
      const call = () => this.memory[method](...args, (...results) => setImmediate(fn, ...results))
      aMillisecondAgo(call)
    })
  }
}

/** To express-session's store a session is over in its last millisecond, to others after it. */
function aMillisecondAgo(call) {
  const { now } = Date
  Date.now = () => now() - 1
  try {
    return call()
  } finally {
    Date.now = now
  }
}

module.exports = { SlowStore }
