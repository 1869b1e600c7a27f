'use strict'

/**
 * Calls the methods of another session store, whatever way it answers in: by a callback, by a
 * promise, by both, by throwing, or not at all. Every call ends within the time limit.
 */

const { setImmediate } = require('../real.js')
const { backingError } = require('../errors.js')
const { Deadlines } = require('../remote/deadlines.js')

/**
 * What was being done when a session turned out to have no file. By the same code, other calls of
 * the system say other things: `connect` that there is no server.
 */
const OF_A_FILE = [undefined, 'access', 'lstat', 'open', 'read', 'stat', 'unlink']

class Calls {
  count = 0
  #backing
  #deadlines

  /** @param timeout after which a call without an answer fails, in milliseconds */
  constructor(backing, timeout) {
    this.#backing = backing
    this.#deadlines = new Deadlines(timeout)
  }

  has(method) {
    return typeof this.#backing[method] === 'function'
  }

  /** The session as `get` gives it; undefined if there is none. */
  async get(sid) {
    try {
      return (await this.call('get', sid)) || undefined
    } catch (err) {
      if (isOfAFile(err)) return undefined
      // express-session takes any error with this code for "no session".
      if (err?.code === 'ENOENT') throw backingError('get', err)
      throw err
    }
  }

  async destroy(sid) {
    try {
      await this.call('destroy', sid)
    } catch (err) {
      if (!isOfAFile(err)) throw err
    }
  }

  /** What a method answers; its errors are thrown as they are. */
  call(method, ...args) {
    this.count++
    return this.#deadlines.run(method, () => answerOf(this.#backing, method, args))
  }
}

function isOfAFile(err) {
  return err?.code === 'ENOENT' && OF_A_FILE.includes(err.syscall)
}

function answerOf(backing, method, args) {
  return new Promise((resolve, reject) => {
    const fail = (err) => reject(err || backingError(method, err))
    const returned = backing[method](...args, (err, value) => (err ? fail(err) : resolve(value)))
    if (typeof returned?.then !== 'function') return
    const takesCallback = backing[method].length > args.length
    returned.then((value) => {
      // An async function may well end before it calls back. Then its end says nothing.
      if (value === undefined && takesCallback) return
      setImmediate(resolve, value)
    }, fail)
  })
}

module.exports = { Calls }
