'use strict'

/**
 * The class `MemoryStore`: what express-session calls, and what else a store offers. It checks what
 * it is given, calls the native store, and delivers the result; see CONTRIBUTING.md for the rest.
 */

const { EventEmitter } = require('node:events')
const { isActivity } = require('./lib/activity.js')
const { toBody } = require('./lib/body.js')
const { done, fail, failEarly } = require('./lib/deliver.js')
const { endingError, sidError, watcherError } = require('./lib/errors.js')
const { debug, tag } = require('./lib/log.js')
const { merge } = require('./lib/merge.js')
const { openEngine } = require('./lib/open.js')
const { readOptions } = require('./lib/options.js')
const { State } = require('./lib/state.js')
const { ttlOf } = require('./lib/ttl.js')

/**
 * The property that holds the state of a store. Not private fields: a Proxy of the store, or an
 * object that inherits from it, has to find the state too.
 */
const STATE = Symbol('memorystore-rs')

module.exports = createMemoryStore

/**
 * Returns the class `MemoryStore`, which extends express-session's `Store`, or Node's
 * `EventEmitter` if it is called without `session`.
 */
function createMemoryStore(session) {
  const Base = session === undefined ? EventEmitter : session?.Store
  if (typeof Base !== 'function') {
    throw new TypeError(
      'memorystore-rs takes the express-session module: ' +
        "const MemoryStore = require('memorystore-rs')(require('express-session'))",
    )
  }

  // Only a subclass of express-session's Store learns which session object was made of what was
  // read.
  const isTelling = typeof Base.prototype.createSession === 'function'
  const isNew = newnessOf(isTelling ? session.Session : undefined)

  class MemoryStore extends Base {
    static merge(base, theirs, mine) {
      return merge(base, theirs, mine)
    }

    constructor(options = {}) {
      const read = readOptions(options)
      const { values } = read
      super(options)

      this.options = values
      this.serializer = options.serializer || JSON
      this.store = {}
      const state = new State(values, read.keys, isTelling, isNew)
      const serializer = state.serializerFor(this.serializer)
      state.engine = openEngine(state, this.store, read, serializer)
      Object.defineProperty(this, STATE, { value: state })
      debug('Init MemoryStore')

      this.startInterval()
    }

    get(sid, fn) {
      const state = this[STATE]
      const key = state.keyOf(sid)
      if (!state.isOpen || key === undefined) return state.refuse('get', sid, fn)
      if (debug.enabled) debug('GET %s', tag(key))
      return state.engine.get(key, state.serializerFor(this.serializer, key), fn)
    }

    createSession(req, read) {
      const session = super.createSession(req, read)
      this[STATE].ties.tie(session, read)
      return session
    }

    set(sid, session, fn) {
      const state = this[STATE]
      const key = state.keyOf(sid)
      if (!state.isOpen || key === undefined) return state.refuse('set', sid, fn)

      let ttl
      try {
        ttl = ttlOf(this.options, session, sid)
      } catch (err) {
        return failEarly(fn, err)
      }
      const serializer = state.serializerFor(this.serializer, key)
      let data
      try {
        data = toBody(serializer.stringify(session))
      } catch (err) {
        return fail(fn, err)
      }
      // The option ttl or the serializer may have closed the store.
      if (!state.isOpen) return state.refuse('set', sid, fn)
      if (debug.enabled) debug('SET %s length:%d ttl:%s', tag(key), data.length, ttl)
      return state.engine.set(key, session, data, ttl, serializer, fn)
    }

    touch(sid, session, fn) {
      const state = this[STATE]
      const key = state.keyOf(sid)
      if (!state.isOpen || key === undefined) return state.refuse('touch', sid, fn)

      try {
        if (!isActivity(this.options, session, sid)) return done(fn)
      } catch (err) {
        return fail(fn, err)
      }
      let ttl
      try {
        ttl = ttlOf(this.options, session, sid)
      } catch (err) {
        return failEarly(fn, err)
      }
      // The options isActivity and ttl may have closed the store.
      if (!state.isOpen) return state.refuse('touch', sid, fn)
      if (debug.enabled) debug('EXPIRE %s ttl:%s', tag(key), ttl)
      return state.engine.touch(key, session, ttl, state.serializerFor(this.serializer, key), fn)
    }

    destroy(sid, fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('destroy', sid, fn)

      const keys = []
      let wrong
      for (const each of Array.isArray(sid) ? sid : [sid]) {
        const key = state.keyOfNamed(each)
        if (key === undefined) {
          wrong ??= sidError('destroy', each)
          continue
        }
        if (debug.enabled) debug('DEL %s', tag(key))
        keys.push(key)
      }
      return state.engine.destroy(keys, wrong, fn)
    }

    sessionsOf(user, options, fn) {
      if (typeof options === 'function') return this.sessionsOf(user, undefined, options)
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('sessionsOf', undefined, fn)
      let text
      try {
        text = state.userText('sessionsOf', user)
      } catch (err) {
        return fail(fn, err)
      }
      debug('Listing the sessions of a user')
      const serializer = state.serializerFor(this.serializer)
      return state.engine.sessionsOf(text, state.keyOf(options?.current), serializer, fn)
    }

    destroyUser(user, options, fn) {
      if (typeof options === 'function') return this.destroyUser(user, undefined, options)
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('destroyUser', undefined, fn)
      let text, which
      try {
        text = state.userText('destroyUser', user)
        which = readEnding(options, state)
      } catch (err) {
        return fail(fn, err)
      }
      debug('Ending the sessions of a user')
      return state.engine.destroyUser(text, which, fn)
    }

    info(sid, fn) {
      const state = this[STATE]
      const key = state.keyOfNamed(sid)
      if (!state.isOpen || key === undefined) return state.refuse('info', sid, fn)
      if (debug.enabled) debug('INFO %s', tag(key))
      return state.engine.info(key, state.serializerFor(this.serializer, key), fn)
    }

    watch(sid, fn) {
      const state = this[STATE]
      state.assertOpen('watch')
      const key = state.keyOfNamed(sid)
      if (key === undefined) throw sidError('watch', sid)
      if (typeof fn !== 'function') throw watcherError(fn)
      if (debug.enabled) debug('WATCH %s', tag(key))
      return state.watches.watch(key, fn)
    }

    ids(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('ids', undefined, fn)
      debug('Getting IDs')
      return state.engine.ids(fn)
    }

    all(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('all', undefined, fn)
      debug('Fetching all sessions')
      return state.engine.all(state.serializerFor(this.serializer), fn)
    }

    async *keys() {
      yield* this[STATE].engine.keys()
    }

    async *entries() {
      const state = this[STATE]
      yield* state.engine.entries(state.serializerFor(this.serializer))
    }

    clear(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('clear', undefined, fn)
      debug('Delete all sessions from the store')
      return state.engine.clear(fn)
    }

    length(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('length', undefined, fn)
      debug('Getting length')
      return state.engine.length(fn)
    }

    stats() {
      const state = this[STATE]
      state.assertOpen('stats')
      return state.engine.stats()
    }

    prune(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('prune', undefined, fn)
      debug('Pruning expired entries')
      return state.engine.prune(fn)
    }

    startInterval() {
      const state = this[STATE]
      state.assertOpen('startInterval')

      const period = this.options.checkPeriod
      if (!Number.isFinite(period) || period <= 0) return
      debug('Starting periodic check for expired sessions')
      this._checkInterval = state.engine.startPruning(period)
    }

    stopInterval() {
      debug('Stopping periodic check for expired sessions')
      this[STATE].engine.stopPruning()
      this._checkInterval = undefined
    }

    close(fn) {
      const state = this[STATE]
      if (!state.isOpen) return done(fn)
      debug('Closing the store')

      this.stopInterval()
      // From here on, every call is refused.
      state.isOpen = false
      state.watches.close()
      return state.engine.close(fn)
    }
  }

  if (!isTelling) delete MemoryStore.prototype.createSession
  return MemoryStore
}

/**
 * Tells whether a session object is one that express-session made, so that it is new if nothing was
 * read for it.
 */
function newnessOf(Session) {
  return typeof Session === 'function' ? (session) => session instanceof Session : () => false
}

/**
 * Which sessions of a user are to be ended: all but `except`, a sid, or `only` the one with this
 * handle.
 *
 * @throws {TypeError} if one is given and cannot be meant: that must not end all
 */
function readEnding(options, { keyOf }) {
  const given = options ?? {}
  if (typeof given !== 'object') throw endingError('options', given)
  const { except, only } = given
  const key = keyOf(except)
  const isRight = {
    except: key !== undefined && key !== '',
    only: typeof only === 'string',
  }
  for (const [option, value] of Object.entries(given)) {
    if (!isRight[option]) throw endingError(option, value)
  }
  return { except: key, only }
}
