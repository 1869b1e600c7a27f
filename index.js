'use strict'

/**
 * The class `MemoryStore`: what express-session calls, and what else a store offers. It checks what
 * it is given, calls the native store, and delivers the result; see CONTRIBUTING.md for the rest.
 */

const { EventEmitter } = require('node:events')
const { parse, toBody, toKey } = require('./lib/body.js')
const { done, fail, failEarly, give, giveNothing, later } = require('./lib/deliver.js')
const { inThisRealm, openingError, sidError } = require('./lib/errors.js')
const { AT_ONCE, collectIds, eachSid } = require('./lib/listing.js')
const { debug, tag } = require('./lib/log.js')
const { merge } = require('./lib/merge.js')
const { createStore } = require('./lib/native.js')
const { readOptions } = require('./lib/options.js')
const { State } = require('./lib/state.js')
const { readStats } = require('./lib/stats.js')
const { ttlOf } = require('./lib/ttl.js')
const { whenOver } = require('./lib/turns.js')
const { warnOfDamage } = require('./lib/warnings.js')
const { mergeCookie, rewrite, writeNew, writeTied } = require('./lib/write.js')

/** How many sessions are read in one turn of the event loop. */
const SESSIONS_A_TURN = 200

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
  const Session = typeof session?.Session === 'function' ? session.Session : undefined

  class MemoryStore extends Base {
    static merge(base, theirs, mine) {
      return merge(base, theirs, mine)
    }

    constructor(options = {}) {
      const { values, native, syncPeriod } = readOptions(options)
      super(options)

      this.options = values
      this.serializer = options.serializer || JSON
      this.store = {}
      const opening = createStore(this.store, native)
      const error = openingError(opening, values)
      if (error) throw error
      if (opening.setAside) warnOfDamage(native.path, opening.setAside)
      const state = new State(values, this.store)
      Object.defineProperty(this, STATE, { value: state })
      debug('Init MemoryStore')

      this.startInterval()
      if (native.path !== undefined) state.startFileTimers(syncPeriod)
    }

    get(sid, fn) {
      const state = this[STATE]
      const key = toKey(sid)
      if (!state.isOpen || key === undefined) return state.refuse('get', sid, fn)
      if (debug.enabled) debug('GET %s', tag(key))

      const { native, disposal } = state
      let data
      try {
        data = native.get(key, Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      const version = isTelling && data ? native.version() : undefined
      if (disposal) disposal.ofRemoved()
      if (!data) return giveNothing(fn)

      let session
      try {
        session = parse(this.serializer, data)
      } catch (err) {
        return fail(fn, err, undefined)
      }
      if (isTelling) state.ties.noteRead(session, key, data, version)
      return give(fn, session)
    }

    createSession(req, read) {
      const session = super.createSession(req, read)
      this[STATE].ties.tie(session, read)
      return session
    }

    set(sid, session, fn) {
      const state = this[STATE]
      const key = toKey(sid)
      if (!state.isOpen || key === undefined) return state.refuse('set', sid, fn)

      let ttl
      try {
        ttl = ttlOf(this.options, session, sid)
      } catch (err) {
        return failEarly(fn, err)
      }
      const { serializer } = this
      const { ties, disposal } = state
      try {
        const data = toBody(serializer.stringify(session))
        if (debug.enabled) debug('SET %s length:%d ttl:%s', tag(key), data.length, ttl)
        const tie = ties.of(session, key)
        if (tie) {
          writeTied(state, serializer, tie, session, data, ttl)
        } else {
          const version = writeNew(state, serializer, key, data, ttl)
          // A new session is tied from its first write on: its request may write it again.
          const isNew = isTelling && Session !== undefined && session instanceof Session
          if (isNew && version !== undefined) ties.tieNew(session, key, data, version)
        }
      } catch (err) {
        if (disposal) disposal.ofRemoved()
        return fail(fn, err)
      }
      if (disposal) disposal.ofRemoved()
      return done(fn)
    }

    touch(sid, session, fn) {
      const state = this[STATE]
      const key = toKey(sid)
      if (!state.isOpen || key === undefined) return state.refuse('touch', sid, fn)

      let ttl
      try {
        ttl = ttlOf(this.options, session, sid)
      } catch (err) {
        return failEarly(fn, err)
      }
      const { serializer } = this
      const { disposal, options } = state
      const tie = options.conflict === 'overwrite' ? undefined : state.ties.of(session, key)
      const now = Date.now()
      // The option ttl or the clock may have closed the store.
      if (!state.isOpen) return state.refuse('touch', sid, fn)
      if (debug.enabled) debug('EXPIRE %s ttl:%s', tag(key), ttl)
      try {
        const isDone =
          serializer === JSON &&
          !disposal &&
          (state.cookies.touch(key, session, now, ttl, tie !== undefined) ||
            (tie && mergeCookie(state, key, session, now, ttl, tie)))
        if (!isDone) rewrite(state, serializer, key, session, ttl, tie)
      } catch (err) {
        if (disposal) disposal.ofRemoved()
        return fail(fn, err)
      }
      if (disposal) disposal.ofRemoved()
      return done(fn)
    }

    destroy(sid, fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('destroy', sid, fn)

      const { native, disposal } = state
      const sids = Array.isArray(sid) ? sid : [sid]
      let wrong
      for (const each of sids) {
        const key = toKey(each)
        if (key === undefined) {
          wrong ??= sidError('destroy', each)
          continue
        }
        if (debug.enabled) debug('DEL %s', tag(key))
        try {
          native.destroy(key, Date.now())
        } catch (err) {
          wrong ??= err
        }
      }
      if (disposal) disposal.ofRemoved()
      return wrong ? fail(fn, wrong) : done(fn)
    }

    ids(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('ids', undefined, fn)
      debug('Getting IDs')

      const ids = []
      try {
        if (state.native.length() > AT_ONCE) return later(fn, collectIds(state))
        state.native.ids(ids)
      } catch (err) {
        return fail(fn, err)
      }
      return give(fn, ids)
    }

    all(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('all', undefined, fn)
      debug('Fetching all sessions')

      const { native, disposal } = state
      const pairs = []
      const sessions = Object.create(null)
      try {
        if (native.length() > AT_ONCE) return later(fn, collectAll(this))
        native.all(pairs, Date.now())
        if (disposal) disposal.ofRemoved()
        for (let i = 0; i < pairs.length; i += 2) {
          sessions[pairs[i]] = parse(this.serializer, pairs[i + 1])
        }
      } catch (err) {
        return fail(fn, err)
      }
      return give(fn, sessions)
    }

    async *keys() {
      yield* eachSid(this[STATE], 'keys')
    }

    async *entries() {
      const state = this[STATE]
      const { native, disposal } = state
      for await (const sid of eachSid(state, 'entries', SESSIONS_A_TURN)) {
        const data = inThisRealm(() => native.peek(sid, Date.now()))
        if (disposal) disposal.ofRemoved()
        if (data) yield [sid, parse(this.serializer, data)]
      }
    }

    clear(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('clear', undefined, fn)
      debug('Delete all sessions from the store')

      try {
        state.native.clear(Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      if (!state.disposal) return done(fn)
      state.disposal.ofRemoved()
      return state.whenIdle(fn)
    }

    length(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('length', undefined, fn)
      debug('Getting length')

      let length
      try {
        length = state.native.length()
      } catch (err) {
        return fail(fn, err)
      }
      return give(fn, length)
    }

    stats() {
      const state = this[STATE]
      state.assertOpen('stats')
      return readStats(state.native)
    }

    prune(fn) {
      const state = this[STATE]
      if (!state.isOpen) return state.refuse('prune', undefined, fn)
      debug('Pruning expired entries')

      try {
        state.native.prune(Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      if (state.disposal) state.disposal.ofRemoved()
      return state.whenIdle(fn)
    }

    startInterval() {
      const state = this[STATE]
      state.assertOpen('startInterval')

      const period = this.options.checkPeriod
      if (!Number.isFinite(period) || period <= 0) return
      debug('Starting periodic check for expired sessions')
      this._checkInterval = state.startPruning(period)
    }

    stopInterval() {
      debug('Stopping periodic check for expired sessions')
      this[STATE].stopPruning()
      this._checkInterval = undefined
    }

    close(fn) {
      const state = this[STATE]
      const { native, disposal } = state
      if (!state.isOpen) return done(fn)
      debug('Closing the store')

      this.stopInterval()
      state.close()
      const isLast = native.close(Date.now())
      if (disposal) disposal.ofRemoved()
      // If the sessions are in a file, the background thread syncs it and closes it.
      const isClosing = () => inThisRealm(() => native.isClosing())
      try {
        if (isClosing())
          return later(
            fn,
            whenOver(isClosing).then(() => disposal?.ofRemoved()),
          )
      } catch (err) {
        return fail(fn, err)
      }
      return isLast && disposal ? state.whenIdle(fn) : done(fn)
    }
  }

  if (!isTelling) delete MemoryStore.prototype.createSession
  return MemoryStore
}

async function collectAll(store) {
  const sessions = Object.create(null)
  for await (const [sid, session] of store.entries()) sessions[sid] = session
  return sessions
}
