'use strict'

/**
 * The class `MemoryStore`: what express-session calls, and what else a store offers. It checks what
 * it is given, calls the native store, and delivers the result; see CONTRIBUTING.md for the rest.
 */

const { EventEmitter } = require('node:events')
const { bodyKind, parse, toBody, toKey } = require('./lib/body.js')
const { Cookies } = require('./lib/cookie.js')
const { done, fail, failEarly, give, giveNothing, later } = require('./lib/deliver.js')
const { Disposal } = require('./lib/disposal.js')
const errors = require('./lib/errors.js')
const { debug, tag } = require('./lib/log.js')
const { merge } = require('./lib/merge.js')
const { createStore } = require('./lib/native.js')
const { readOptions } = require('./lib/options.js')
const { STATS } = require('./lib/stats.js')
const { Ties } = require('./lib/ties.js')
const { every, REAL } = require('./lib/timer.js')
const { ttlOf } = require('./lib/ttl.js')
const { eachSlice, listInto, whenOver } = require('./lib/turns.js')
const { warnOfDamage, warnOfReplacement, warnOfSync } = require('./lib/warnings.js')
const { DESTROYED, mergeCookie, rewrite, writeTied } = require('./lib/write.js')

const { inThisRealm } = errors

/** Up to this many sessions are listed at once, as they are at the moment of the call. */
const AT_ONCE = 2000

/** How many sids, and how many sessions, are listed in one turn of the event loop. */
const SIDS_A_TURN = 2000
const SESSIONS_A_TURN = 200

/** At least this often, in ms, a store checks whether the files of its path are still there. */
const WATCH_PERIOD = 1000

/** A version that nothing stored has. */
const NO_VERSION = 0

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

  // Only express-session's own stores are told which session object was made of what was read.
  const isTelling = typeof Base.prototype.createSession === 'function'
  const Session = typeof session?.Session === 'function' ? session.Session : undefined

  class MemoryStore extends Base {
    static merge(base, theirs, mine) {
      return merge(base, theirs, mine)
    }

    constructor(options = {}) {
      const { values, native: nativeOptions, syncPeriod } = readOptions(options)
      super(options)

      this.options = values
      this.serializer = options.serializer || JSON
      this.store = {}
      const opening = createStore(this.store, nativeOptions)
      const error = errors.openingError(opening, values)
      if (error) throw error
      if (opening.setAside) warnOfDamage(nativeOptions.path, opening.setAside)
      const state = new State(values, this.store)
      Object.defineProperty(this, STATE, { value: state })
      debug('Init MemoryStore')

      this.startInterval()
      if (nativeOptions.path !== undefined) {
        // Before the syncs, which may take long and are useless for a file that is gone.
        const period = Math.min(syncPeriod || WATCH_PERIOD, WATCH_PERIOD)
        state.stopWatching = every(period, state, watchFiles, REAL).stop
      }
      if (syncPeriod > 0) state.stopSyncs = every(syncPeriod, state, syncInBackground, REAL).stop
    }

    get(sid, fn) {
      const state = this[STATE]
      const key = toKey(sid)
      if (!state.isOpen || key === undefined) return refuse(state, 'get', sid, fn)
      if (debug.enabled) debug('GET %s', tag(key))

      const { native, disposal } = state
      let data
      try {
        data = native.get(key, Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      const version = isTelling && data ? native.version() : NO_VERSION
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
      if (!state.isOpen || key === undefined) return refuse(state, 'set', sid, fn)

      let ttl
      try {
        ttl = ttlOf(this.options, session, sid)
      } catch (err) {
        return failEarly(fn, err)
      }
      const { serializer } = this
      let data
      try {
        data = toBody(serializer.stringify(session))
      } catch (err) {
        return fail(fn, err)
      }
      if (debug.enabled) debug('SET %s length:%d ttl:%s', tag(key), data.length, ttl)
      const tie = state.ties.of(session, key)
      if (tie) return setTied(state, serializer, tie, session, data, ttl, fn)

      const { native, disposal } = state
      const now = Date.now()
      // The option ttl, the serializer or the clock may have closed the store.
      if (!state.isOpen) return refuse(state, 'set', sid, fn)
      let written
      try {
        written = native.set(key, data, now, ttl, bodyKind(serializer, data))
      } catch (err) {
        return fail(fn, err)
      }
      const refusal = errors.refusalError(written, key, state.options)
      if (refusal) return fail(fn, refusal)
      if (written === DESTROYED) debugRefused(key)
      // A new session is tied from its first write on: its request may write it again.
      else if (isTelling && Session !== undefined && session instanceof Session) {
        state.ties.tieNew(session, key, data, written)
      }
      if (disposal) disposal.ofRemoved()
      return done(fn)
    }

    touch(sid, session, fn) {
      const state = this[STATE]
      const key = toKey(sid)
      if (!state.isOpen || key === undefined) return refuse(state, 'touch', sid, fn)

      let ttl
      try {
        ttl = ttlOf(this.options, session, sid)
      } catch (err) {
        return failEarly(fn, err)
      }
      const { serializer } = this
      const { options } = state
      const tie = options.conflict === 'overwrite' ? undefined : state.ties.of(session, key)
      const now = Date.now()
      if (!state.isOpen) return refuse(state, 'touch', sid, fn)
      if (debug.enabled) debug('EXPIRE %s ttl:%s', tag(key), ttl)
      try {
        const isDone =
          serializer === JSON &&
          !state.disposal &&
          (state.cookies.touch(key, session, now, ttl, tie !== undefined) ||
            (tie && mergeCookie(state, key, session, now, ttl, tie)))
        if (!isDone) rewrite(state, serializer, key, session, ttl, tie)
      } catch (err) {
        if (state.disposal) state.disposal.ofRemoved()
        return fail(fn, err)
      }
      if (state.disposal) state.disposal.ofRemoved()
      return done(fn)
    }

    destroy(sid, fn) {
      const state = this[STATE]
      if (!state.isOpen) return refuse(state, 'destroy', sid, fn)

      const { native, disposal } = state
      const sids = Array.isArray(sid) ? sid : [sid]
      let wrong
      for (const each of sids) {
        const key = toKey(each)
        if (key === undefined) {
          wrong ??= errors.sidError('destroy', each)
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
      if (!state.isOpen) return refuse(state, 'ids', undefined, fn)
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
      if (!state.isOpen) return refuse(state, 'all', undefined, fn)
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
      const state = this[STATE]
      assertOpen(state, 'keys')
      for await (const sids of eachSlice(listed(state), SIDS_A_TURN)) {
        for (const sid of sids) {
          assertOpen(state, 'keys')
          yield sid
        }
      }
    }

    async *entries() {
      const state = this[STATE]
      const { native, disposal } = state
      assertOpen(state, 'entries')
      for await (const sids of eachSlice(listed(state), SESSIONS_A_TURN)) {
        for (const sid of sids) {
          assertOpen(state, 'entries')
          const data = inThisRealm(() => native.peek(sid, Date.now()))
          if (disposal) disposal.ofRemoved()
          if (data) yield [sid, parse(this.serializer, data)]
        }
      }
    }

    clear(fn) {
      const state = this[STATE]
      if (!state.isOpen) return refuse(state, 'clear', undefined, fn)
      debug('Delete all sessions from the store')

      try {
        state.native.clear(Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      if (!state.disposal) return done(fn)
      state.disposal.ofRemoved()
      return whenIdle(state, fn)
    }

    length(fn) {
      const state = this[STATE]
      if (!state.isOpen) return refuse(state, 'length', undefined, fn)
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
      assertOpen(state, 'stats')
      const figures = []
      inThisRealm(() => state.native.stats(figures))
      return Object.fromEntries(STATS.map((name, i) => [name, figures[i]]))
    }

    prune(fn) {
      const state = this[STATE]
      if (!state.isOpen) return refuse(state, 'prune', undefined, fn)
      debug('Pruning expired entries')

      try {
        state.native.prune(Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      if (state.disposal) state.disposal.ofRemoved()
      return whenIdle(state, fn)
    }

    startInterval() {
      const state = this[STATE]
      assertOpen(state, 'startInterval')

      const period = this.options.checkPeriod
      if (!Number.isFinite(period) || period <= 0) return
      state.stopTimer()
      debug('Starting periodic check for expired sessions')
      const { timer, stop } = every(period, state, pruneInBackground)
      this._checkInterval = timer
      state.stopTimer = stop
    }

    stopInterval() {
      debug('Stopping periodic check for expired sessions')
      this[STATE].stopTimer()
      this._checkInterval = undefined
    }

    close(fn) {
      const state = this[STATE]
      const { native, disposal } = state
      if (!state.isOpen) return done(fn)
      debug('Closing the store')

      this.stopInterval()
      state.stopSyncs()
      state.stopWatching()
      state.isOpen = false
      const isLast = native.close(Date.now())
      if (disposal) disposal.ofRemoved()
      // The background thread syncs and closes the file of a path.
      const isClosing = () => inThisRealm(() => native.isClosing())
      try {
        if (!isClosing()) return isLast && disposal ? whenIdle(state, fn) : done(fn)
        return later(
          fn,
          whenOver(isClosing).then(() => disposal?.ofRemoved()),
        )
      } catch (err) {
        return fail(fn, err)
      }
    }
  }

  if (!isTelling) delete MemoryStore.prototype.createSession
  return MemoryStore
}

/** The state of a store beside its public properties. */
class State {
  isOpen = true
  ties = new Ties()
  hasWarnedOfSync = false
  stopTimer = () => {}
  stopSyncs = () => {}
  stopWatching = () => {}

  constructor(options, native) {
    this.options = options
    this.native = native
    this.cookies = new Cookies(native)
    this.disposal = options.dispose ? new Disposal(native, options.dispose) : undefined
  }
}

function refuse(state, method, sid, fn) {
  return fail(fn, state.isOpen ? errors.sidError(method, sid) : errors.closedError(method))
}

function assertOpen(state, method) {
  if (!state.isOpen) throw errors.closedError(method)
}

/** Writes a session that was read before. */
function setTied(state, serializer, tie, session, data, ttl, fn) {
  let write
  try {
    write = writeTied(state, serializer, tie, session, data, ttl)
  } catch (err) {
    if (state.disposal) state.disposal.ofRemoved()
    return fail(fn, err)
  }
  const { written, isMerge } = write
  if (written === DESTROYED) {
    debugRefused(tie.key)
  } else {
    state.ties.noteWritten(tie, data, written, !isMerge)
    if (debug.enabled && isMerge) debug('MERGE %s', tag(tie.key))
  }
  if (state.disposal) state.disposal.ofRemoved()
  return done(fn)
}

function debugRefused(key) {
  if (debug.enabled) debug('REFUSED %s: it was destroyed', tag(key))
}

/** Makes the background thread list the sids. Returns a function that takes the next of them. */
function listed({ native }) {
  const take = inThisRealm(() => native.list())
  return (sids, limit) => inThisRealm(() => take(sids, limit))
}

async function collectIds(state) {
  const ids = []
  await listInto(ids, listed(state), SIDS_A_TURN)
  assertOpen(state, 'ids')
  return ids
}

async function collectAll(store) {
  const sessions = Object.create(null)
  for await (const [sid, session] of store.entries()) sessions[sid] = session
  return sessions
}

/** Calls back when the background thread has nothing left to remove. */
function whenIdle({ native }, fn) {
  const isBusy = () => inThisRealm(() => native.isBusy())
  try {
    return isBusy() ? later(fn, whenOver(isBusy)) : done(fn)
  } catch (err) {
    return fail(fn, err)
  }
}

function pruneInBackground({ native, disposal }) {
  debug('Pruning expired entries')
  try {
    native.prune(Date.now())
  } catch (err) {
    // No caller waits for this. The next call of the store reports the error.
    debug('Pruning failed: %s', err.message)
    return
  }
  disposal?.later()
}

/** If the files of the path were replaced, makes the background thread open the new ones. */
function watchFiles(state) {
  const notice = state.native.watch()
  if (notice) warnOfReplacement(notice)
}

function syncInBackground(state) {
  try {
    state.native.syncLater()
  } catch (err) {
    if (!state.hasWarnedOfSync) warnOfSync(err)
    state.hasWarnedOfSync = true
  }
}
