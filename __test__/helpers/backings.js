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

/**
 * A store that does some things in its own way: the functions of `methods` are called with what the
 * store's methods get. An undefined one is a method that the store lacks. It lists its `calls`.
 */
function oddStore(methods = {}) {
  const store = new SlowStore()
  const calls = []
  for (const name of Object.keys(SlowStore.prototype)) {
    const method = Object.hasOwn(methods, name) ? methods[name] : store[name]
    if (method === undefined) {
      store[name] = undefined
      continue
    }
    store[name] = new Proxy(method, {
      apply(target, self, args) {
        calls.push([name, ...args.filter((arg) => typeof arg !== 'function')])
        return Reflect.apply(target, self, args)
      },
    })
  }
  return Object.assign(store, { calls })
}

module.exports = { SlowStore, oddStore }
