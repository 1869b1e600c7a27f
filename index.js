'use strict'

const { createHash } = require('node:crypto')
const { EventEmitter } = require('node:events')
const { isSharedArrayBuffer, isUint8Array } = require('node:util/types')
const debug = require('debug')('memorystore')
const { createStore } = require('./lib/native.js')
const { kindOf, readOptions } = require('./lib/options.js')
const { ofThisRealm, openingError } = require('./lib/errors.js')
const { merge } = require('./lib/merge.js')
const { Cookies } = require('./lib/cookie.js')
const { Ties } = require('./lib/ties.js')
const { every, REAL } = require('./lib/timer.js')
const { eachSlice, later, listInto, until } = require('./lib/turns.js')

/** What a session without a lifetime of its own gets, in milliseconds. */
const ONE_DAY = 86400000

/** The lifetime of what is expired from the start. */
const NO_TIME = -Infinity

/** Up to this many sessions are listed at once, as they are at the moment of the call. */
const AT_ONCE = 2000

/** How many sids, and how many sessions, are listed in one turn of the event loop. */
const SIDS_A_TURN = 2000
const SESSIONS_A_TURN = 200

/** The names of the figures that the native `stats` gives, in its order. */
const STATS = [
  'sessions',
  'bytes',
  'hits',
  'misses',
  'sets',
  'merges',
  'refusedWrites',
  'touches',
  'evictionsByCount',
  'evictionsByBytes',
  'expirations',
  'prunes',
  'lastPruneMs',
]

/** How long to wait before looking what the background thread has removed, in milliseconds. */
const DISPOSE_DELAY = 5

// What a native body is and what a native write answers; see src/node/ops.rs.
const [TEXT, JSON_TEXT, BUFFER, BYTES] = [0, 1, 2, 3]
const [TOO_LARGE, DESTROYED, CHANGED] = [-1, -2, -3]

/** In place of the version that is expected to be stored: any. */
const ANY_VERSION = -1

/** A version that nothing stored has. */
const NO_VERSION = 0

/** A version that is later than any. */
const LAST_VERSION = Number.MAX_SAFE_INTEGER

/**
 * After so many writes that came between, what is stored is overwritten: no other threads are
 * that many, but a serializer that writes the session itself would never let it end.
 */
const MAX_ATTEMPTS = 1000

// Kept from before anybody fakes them: results are delivered whatever a faked clock does.
const { setImmediate, setTimeout } = globalThis

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
    #isOpen = true
    #isDisposing = false
    #dispose
    #cookies
    #ties = new Ties()
    #stopTimer = () => {}
    #stopSyncs = () => {}
    #hasWarnedOfSync = false

    constructor(options = {}) {
      const { values, native, syncPeriod } = readOptions(options)
      super(options)

      this.options = values
      this.serializer = options.serializer || JSON
      this.#dispose = values.dispose
      this.store = {}
      const opening = createStore(this.store, native)
      const error = openingError(opening, values)
      if (error) throw error
      if (opening.setAside) warnOfDamage(native.path, opening.setAside)
      this.#cookies = new Cookies(this.store)
      debug('Init MemoryStore')

      this.startInterval()
      if (syncPeriod > 0) {
        const sync = (store) => store.#syncInBackground()
        this.#stopSyncs = every(syncPeriod, this, sync, REAL).stop
      }
    }

    get(sid, fn) {
      const key = toKey(sid)
      if (!this.#isOpen || key === undefined) return this.#refuse('get', sid, fn)
      if (debug.enabled) debug('GET %s', tag(key))

      let data
      try {
        data = this.store.get(key, Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      const version = isTelling && data ? this.store.version() : NO_VERSION
      if (this.#dispose) this.#disposeOfRemoved()
      if (!data) return giveNothing(fn)

      let session
      try {
        session = parse(this.serializer, data)
      } catch (err) {
        return fail(fn, err, undefined)
      }
      if (isTelling) this.#ties.noteRead(session, key, data, version)
      return give(fn, session)
    }

    createSession(req, read) {
      const session = super.createSession(req, read)
      this.#ties.tie(session, read)
      return session
    }

    set(sid, session, fn) {
      const key = toKey(sid)
      if (!this.#isOpen || key === undefined) return this.#refuse('set', sid, fn)

      const ttl = this.#ttl(session, sid)
      const { serializer } = this
      let data
      try {
        data = toBody(serializer.stringify(session))
      } catch (err) {
        return fail(fn, err)
      }
      // The serializer may have closed the store.
      if (!this.#isOpen) return this.#refuse('set', sid, fn)
      if (debug.enabled) debug('SET %s length:%d ttl:%s', tag(key), data.length, ttl)
      const tie = this.#ties.of(session, key)
      if (tie) return this.#setTied(tie, session, data, ttl, fn)

      let written
      try {
        written = this.store.set(key, data, Date.now(), ttl, bodyKind(serializer, data))
      } catch (err) {
        return fail(fn, err)
      }
      if (written === TOO_LARGE) return fail(fn, tooLargeError(this.options))
      if (written === DESTROYED) debugRefused(key)
      // A new session is tied from its first write on: its request may write it again.
      else if (isTelling && Session !== undefined && session instanceof Session) {
        this.#ties.tieNew(session, key, data, written)
      }
      if (this.#dispose) this.#disposeOfRemoved()
      return done(fn)
    }

    touch(sid, session, fn) {
      const key = toKey(sid)
      if (!this.#isOpen || key === undefined) return this.#refuse('touch', sid, fn)

      const ttl = this.#ttl(session, sid)
      if (!this.#isOpen) return this.#refuse('touch', sid, fn)
      if (debug.enabled) debug('EXPIRE %s ttl:%s', tag(key), ttl)
      if (this.serializer === JSON && !this.#dispose) {
        try {
          if (this.#cookies.touch(key, session, ttl)) return done(fn)
        } catch (err) {
          return fail(fn, err)
        }
      }
      return this.#rewrite(key, session, ttl, fn)
    }

    destroy(sid, fn) {
      if (!this.#isOpen) return this.#refuse('destroy', sid, fn)

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
          this.store.destroy(key, Date.now())
        } catch (err) {
          wrong ??= err
        }
      }
      if (this.#dispose) this.#disposeOfRemoved()
      return wrong ? fail(fn, wrong) : done(fn)
    }

    ids(fn) {
      if (!this.#isOpen) return this.#refuse('ids', undefined, fn)
      debug('Getting IDs')

      const ids = []
      try {
        if (this.store.length() > AT_ONCE) return later(fn, this.#collectIds())
        this.store.ids(ids)
      } catch (err) {
        return fail(fn, err)
      }
      return give(fn, ids)
    }

    all(fn) {
      if (!this.#isOpen) return this.#refuse('all', undefined, fn)
      debug('Fetching all sessions')

      const pairs = []
      const sessions = Object.create(null)
      try {
        if (this.store.length() > AT_ONCE) return later(fn, this.#collectAll())
        this.store.all(pairs, Date.now())
        if (this.#dispose) this.#disposeOfRemoved()
        for (let i = 0; i < pairs.length; i += 2) {
          sessions[pairs[i]] = parse(this.serializer, pairs[i + 1])
        }
      } catch (err) {
        return fail(fn, err)
      }
      return give(fn, sessions)
    }

    async *keys() {
      this.#assertOpen('keys')
      for await (const sids of eachSlice(this.#list(), SIDS_A_TURN)) {
        for (const sid of sids) {
          this.#assertOpen('keys')
          yield sid
        }
      }
    }

    async *entries() {
      this.#assertOpen('entries')
      for await (const sids of eachSlice(this.#list(), SESSIONS_A_TURN)) {
        for (const sid of sids) {
          this.#assertOpen('entries')
          const data = inThisRealm(() => this.store.peek(sid, Date.now()))
          if (this.#dispose) this.#disposeOfRemoved()
          if (data) yield [sid, parse(this.serializer, data)]
        }
      }
    }

    clear(fn) {
      if (!this.#isOpen) return this.#refuse('clear', undefined, fn)
      debug('Delete all sessions from the store')

      try {
        this.store.clear(Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      if (!this.#dispose) return done(fn)
      this.#disposeOfRemoved()
      return this.#whenIdle(fn)
    }

    length(fn) {
      if (!this.#isOpen) return this.#refuse('length', undefined, fn)
      debug('Getting length')

      let length
      try {
        length = this.store.length()
      } catch (err) {
        return fail(fn, err)
      }
      return give(fn, length)
    }

    stats() {
      this.#assertOpen('stats')
      const figures = []
      inThisRealm(() => this.store.stats(figures))
      return Object.fromEntries(STATS.map((name, i) => [name, figures[i]]))
    }

    prune(fn) {
      if (!this.#isOpen) return this.#refuse('prune', undefined, fn)
      debug('Pruning expired entries')

      try {
        this.store.prune(Date.now())
      } catch (err) {
        return fail(fn, err)
      }
      if (this.#dispose) this.#disposeOfRemoved()
      return this.#whenIdle(fn)
    }

    startInterval() {
      this.#assertOpen('startInterval')

      const period = this.options.checkPeriod
      if (!Number.isFinite(period) || period <= 0) return
      this.#stopTimer()
      debug('Starting periodic check for expired sessions')
      const { timer, stop } = every(period, this, (store) => store.#pruneInBackground())
      this._checkInterval = timer
      this.#stopTimer = stop
    }

    stopInterval() {
      debug('Stopping periodic check for expired sessions')
      this.#stopTimer()
      this._checkInterval = undefined
    }

    close(fn) {
      if (!this.#isOpen) return done(fn)
      debug('Closing the store')

      this.stopInterval()
      this.#stopSyncs()
      this.#isOpen = false
      const isLast = this.store.close(Date.now())
      if (this.#dispose) this.#disposeOfRemoved()
      // Where the sessions are in a file, that is synced and let go by the background thread.
      const isClosing = () => this.store.isClosing()
      try {
        if (!isClosing()) return isLast && this.#dispose ? this.#whenIdle(fn) : done(fn)
        return later(
          fn,
          whenOver(isClosing).then(() => this.#disposeOfRemoved()),
        )
      } catch (err) {
        return fail(fn, err)
      }
    }

    /** How long `session` is to live, in milliseconds; `Infinity` is for ever. */
    #ttl(session, sid) {
      const { options } = this
      if (typeof options.ttl === 'number') return lifetime(options.ttl)
      if (typeof options.ttl === 'function') return lifetime(options.ttl(options, session, sid))
      if (options.ttl) {
        throw new TypeError(
          `memorystore-rs: the option \`ttl\` is a number of milliseconds or a function, not ${kindOf(options.ttl)}`,
        )
      }
      const maxAge = session && session.cookie ? session.cookie.maxAge : undefined
      if (typeof maxAge !== 'number' || Number.isNaN(maxAge)) return ONE_DAY
      const whole = Math.floor(maxAge)
      return whole === 0 ? NO_TIME : whole
    }

    /** Writes a session that was read before, unless it was destroyed since. */
    #setTied(tie, session, data, ttl, fn) {
      const { serializer, store } = this
      const { key } = tie
      let body = data
      let expected = ANY_VERSION
      if (this.options.conflict !== 'overwrite') expected = tie.isWhole ? tie.version : NO_VERSION
      let written
      try {
        for (let attempt = 1; ; attempt++) {
          const kind = bodyKind(serializer, body)
          const isMerge = body === data ? 0 : 1
          const now = Date.now()
          written = store.setTied(key, body, now, ttl, kind, tie.version, expected, isMerge)
          if (written !== CHANGED) break
          // Another request wrote. Take in what it did, and write if nobody else does meanwhile.
          const stored = store.peek(key, Date.now())
          expected = stored === undefined ? NO_VERSION : store.version()
          if (attempt === MAX_ATTEMPTS) expected = ANY_VERSION
          const merged = stored && this.#merged(tie, session, stored, data)
          body = merged || data
          if (!this.#isOpen) throw closedError('set')
        }
        if (written === TOO_LARGE) throw tooLargeError(this.options)
      } catch (err) {
        if (this.#dispose) this.#disposeOfRemoved()
        return fail(fn, err)
      }
      if (written === DESTROYED) {
        debugRefused(key)
      } else {
        this.#ties.noteWritten(tie, data, written, body === data)
        if (debug.enabled && body !== data) debug('MERGE %s', tag(key))
      }
      if (this.#dispose) this.#disposeOfRemoved()
      return done(fn)
    }

    /** The body of what this request and another one have made of a session, if they merge. */
    #merged(tie, session, stored, data) {
      const { serializer } = this
      const [base, theirs, mine] = [tie.body, stored, data].map((body) => parse(serializer, body))
      const merged = merge(base, theirs, mine)
      if (merged === undefined) return undefined
      // As `stringify` knows it from any other session.
      if (Object.hasOwn(merged, 'cookie')) merged.cookie = session.cookie
      return toBody(serializer.stringify(merged))
    }

    /** Touches by reading the session, giving it the new cookie, and writing it. */
    #rewrite(key, session, ttl, fn) {
      const { serializer, store } = this
      for (let attempt = 1; ; attempt++) {
        let data
        try {
          data = store.fetch(key, Date.now())
        } catch (err) {
          return fail(fn, err)
        }
        const version = attempt < MAX_ATTEMPTS ? store.version() : LAST_VERSION
        if (this.#dispose) this.#disposeOfRemoved()
        if (data === undefined) return done(fn)

        let written
        try {
          const stored = parse(serializer, data)
          stored.cookie = session.cookie
          const body = toBody(serializer.stringify(stored))
          if (!this.#isOpen) throw closedError('touch')
          written = store.rewrite(key, body, Date.now(), ttl, bodyKind(serializer, body), version)
          if (written === TOO_LARGE) throw tooLargeError(this.options)
          if (this.#dispose) this.#disposeOfRemoved()
        } catch (err) {
          return fail(fn, err)
        }
        // Where another thread has written it meanwhile, that is to be touched.
        if (written !== CHANGED) return done(fn)
      }
    }

    async #collectIds() {
      const ids = []
      await listInto(ids, this.#list(), SIDS_A_TURN)
      this.#assertOpen('ids')
      return ids
    }

    async #collectAll() {
      const sessions = Object.create(null)
      for await (const [sid, session] of this.entries()) sessions[sid] = session
      return sessions
    }

    /** Begins to list the sids in the background. */
    #list() {
      const take = inThisRealm(() => this.store.list())
      return (sids, limit) => inThisRealm(() => take(sids, limit))
    }

    #assertOpen(method) {
      if (!this.#isOpen) throw closedError(method)
    }

    #refuse(method, sid, fn) {
      return fail(fn, this.#isOpen ? sidError(method, sid) : closedError(method))
    }

    /** Disposes of what the call that is under way has removed. What is more follows in slices. */
    #disposeOfRemoved() {
      const pairs = []
      const hasMore = this.store.takeRemoved(pairs)
      // Before dispose, which may throw: nothing would go on then.
      if (hasMore) this.#disposeLater()
      this.#disposeOf(pairs)
    }

    /** Answers when the background thread has removed all that it is to remove. */
    #whenIdle(fn) {
      const isBusy = () => this.store.isBusy()
      try {
        return isBusy() ? later(fn, whenOver(isBusy)) : done(fn)
      } catch (err) {
        return fail(fn, err)
      }
    }

    /** Calls `dispose` for every pair, then throws the first error that one of them threw. */
    #disposeOf(pairs) {
      const dispose = this.#dispose
      const errors = []
      for (let i = 0; i < pairs.length; i += 2) {
        try {
          dispose(pairs[i], toSerialized(pairs[i + 1]))
        } catch (err) {
          errors.push(err)
        }
      }
      if (errors.length > 0) throw errors[0]
    }

    #pruneInBackground() {
      debug('Pruning expired entries')
      try {
        this.store.prune(Date.now())
      } catch (err) {
        // Nobody asked for it. Whoever calls the store next is told.
        debug('Pruning failed: %s', err.message)
        return
      }
      if (this.#dispose) this.#disposeLater()
    }

    #syncInBackground() {
      try {
        this.store.syncLater()
      } catch (err) {
        if (!this.#hasWarnedOfSync) warnOfSync(err)
        this.#hasWarnedOfSync = true
      }
    }

    /**
     * The background thread cannot call JavaScript (a ThreadsafeFunction would keep the
     * process alive, and crashes at a worker's end), so look what it has removed until it is done.
     */
    #disposeLater() {
      if (this.#isDisposing) return
      this.#isDisposing = true
      setTimeout(() => {
        this.#isDisposing = false
        this.#disposeOfRemoved()
      }, DISPOSE_DELAY).unref()
    }
  }

  if (!isTelling) delete MemoryStore.prototype.createSession
  return MemoryStore
}

function debugRefused(key) {
  if (debug.enabled) debug('REFUSED %s: it was destroyed', tag(key))
}

/** Calls a native function whose errors go to whoever awaits. */
function inThisRealm(call) {
  try {
    return call()
  } catch (err) {
    throw ofThisRealm(err)
  }
}

/** Waits until what the background thread does is over. */
function whenOver(isUnderWay) {
  const probe = () => (inThisRealm(isUnderWay) ? undefined : null)
  return until(probe).then(() => undefined)
}

function warnOfDamage(path, setAside) {
  warn(
    'MEMORYSTORE_RS_DAMAGED',
    `the file of the sessions in ${path} is damaged, or of another version. It is now ${setAside}, and the store is empty.`,
  )
}

function warnOfSync(err) {
  warn(
    'MEMORYSTORE_RS_SYNC',
    `${err.message.replace('memorystore-rs: ', '')}. What was written since the last time may not survive a power failure.`,
  )
}

function warn(code, message) {
  process.emitWarning(`memorystore-rs: ${message}`, { type: 'MemoryStoreWarning', code })
}

/** The text by which a sid is kept; undefined where it is not one. */
function toKey(sid) {
  switch (typeof sid) {
    case 'string':
      return sid
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(sid)
    default:
      return undefined
  }
}

/** What a serializer returned, as the native store takes it. */
function toBody(data) {
  if (typeof data === 'string') return data
  if (isUint8Array(data)) {
    // Other threads could write to shared memory while the native store copies it.
    if (!isSharedArrayBuffer(data.buffer)) return data
    return Buffer.isBuffer(data) ? Buffer.from(data) : new Uint8Array(data)
  }
  throw new TypeError(
    `memorystore-rs: serializer.stringify returned ${kindOf(data)}; it has to return a string, a Buffer or a Uint8Array`,
  )
}

/** What `data`, of the serializer, is to the native store. */
function bodyKind(serializer, data) {
  if (typeof data === 'string') return serializer === JSON ? JSON_TEXT : TEXT
  return Buffer.isBuffer(data) ? BUFFER : BYTES
}

/** What the native store gives back, as the serializer returned it. */
function toSerialized(data) {
  return typeof data === 'string' || Buffer.isBuffer(data) ? data : new Uint8Array(data)
}

/** Parses what the native store gave back. */
function parse(serializer, data) {
  if (serializer !== JSON) return serializer.parse(toSerialized(data))
  try {
    return JSON.parse(toSerialized(data))
  } catch {
    // V8's message quotes the text, which is somebody's session.
    throw new SyntaxError('memorystore-rs: a stored session is not valid JSON')
  }
}

/** The lifetime that the option `ttl`, or its function's result, stands for. */
function lifetime(ttl) {
  if (!ttl) return Infinity
  const number = Number(ttl)
  return Number.isNaN(number) ? Infinity : number
}

/** Delivers `value`: to the callback, or by a promise. */
function give(fn, value) {
  if (typeof fn !== 'function') return promiseOf(value)
  setImmediate(fn, null, value)
}

/** Delivers that it is done. */
function done(fn) {
  if (typeof fn !== 'function') return promiseOf(undefined)
  setImmediate(fn, null)
}

/** Delivers that nothing was found: as in memorystore, the callback gets no arguments. */
function giveNothing(fn) {
  if (typeof fn !== 'function') return promiseOf(undefined)
  setImmediate(fn)
}

function promiseOf(value) {
  return new Promise((resolve) => setImmediate(resolve, value))
}

/** Delivers an error: to the callback, or by a promise that need not be awaited. */
function fail(fn, err, ...args) {
  const error = ofThisRealm(err)
  if (typeof fn === 'function') {
    setImmediate(fn, error, ...args)
    return
  }
  const promise = new Promise((_resolve, reject) => setImmediate(reject, error))
  promise.catch(() => {})
  return promise
}

function sidError(method, sid) {
  const error = new TypeError(
    `memorystore-rs: the sid given to ${method}() is ${kindOf(sid)}; it has to be a string`,
  )
  error.code = 'ERR_INVALID_ARG_TYPE'
  return error
}

function tooLargeError({ path }) {
  const error = new RangeError(
    path === undefined
      ? 'memorystore-rs: the session alone takes more memory than the option `maxBytes` allows; it was not stored'
      : 'memorystore-rs: the session alone takes more than the options `maxBytes` and `mapSize` allow, or its sid is empty or has more than 503 bytes; it was not stored',
  )
  error.code = 'ERR_MEMORYSTORE_TOO_LARGE'
  return error
}

function closedError(method) {
  const error = new Error(`memorystore-rs: ${method}() was called on a store that is closed`)
  error.code = 'ERR_MEMORYSTORE_CLOSED'
  return error
}

/** A sid as the log shows it: the start of its SHA-256, enough to tell sessions apart. */
function tag(sid) {
  return createHash('sha256').update(sid).digest('hex').slice(0, 8)
}
