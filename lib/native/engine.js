'use strict'

/**
 * The engine of a store whose sessions are in this process or in a file of this machine: calls the
 * native store, whose functions return at once, and delivers what they return.
 */

const { isPromise } = require('node:util/types')
const { parse } = require('../body.js')
const { done, fail, give, giveNothing, later } = require('../deliver.js')
const { inThisRealm, openingError } = require('../errors.js')
const { debug } = require('../log.js')
const { forSid } = require('../sealing.js')
const { every, REAL } = require('../timer.js')
const { whenOver } = require('../turns.js')
const { lifetimeOf } = require('../users.js')
const { warnOfDamage, warnOfReplacement, warnOfSync } = require('../warnings.js')
const { createStore } = require('./addon.js')
const { Builders, PackedBody, isPacked } = require('./builders.js')
const { Cookies } = require('./cookie.js')
const { Disposal } = require('./disposal.js')
const { AT_ONCE, collectIds, eachSid } = require('./listing.js')
const { readStats } = require('./stats.js')
const { termsReader } = require('./terms.js')
const { destroyUser, info, sessionsOf } = require('./users.js')
const { mergeCookie, rewrite, writeNew, writeTied } = require('./write.js')

/** How many sessions are read in one turn of the event loop. */
const SESSIONS_A_TURN = 200

/** A store checks at least this often whether the files of its path are still there, in ms. */
const WATCH_PERIOD = 1000

const nothing = () => {}

class NativeEngine {
  #hasWarnedOfSync = false
  #stopPruning = nothing
  #stopSyncs = nothing
  #stopWatching = nothing

  /**
   * @param state of the store
   * @param native the object that gets the functions of the native store
   * @param options as the native store takes them
   * @param syncPeriod in milliseconds; 0 for none
   * @throws if the store cannot be opened
   */
  constructor(state, native, options, syncPeriod) {
    const opening = createStore(native, options)
    const error = openingError(opening, state.options)
    if (error) throw error
    if (opening.setAside) warnOfDamage(options.path, opening.setAside)

    this.state = state
    this.native = native
    this.builders = new Builders(native)
    this.cookies = new Cookies(native)
    const { user, maxPerUser, lifetime } = state.options
    this.termsOf = termsReader(state)
    // These are asked about what is stored, so JavaScript has to merge.
    this.hasTermsFunction = [user, maxPerUser, lifetime].some((one) => typeof one === 'function')
    this.hasLifetime = lifetime !== undefined
    this.hasLifetimeFunction = typeof lifetime === 'function'
    this.disposal = options.dispose ? new Disposal(native, state.dispose) : undefined
    if (options.path !== undefined) this.#startFileTimers(syncPeriod)
  }

  get(key, serializer, fn) {
    const { native, disposal, state, builders } = this
    const isForBuilder = serializer === JSON && builders.areAllowed
    let data, version, created
    try {
      data = native.get(key, Date.now(), isForBuilder ? 1 : 0)
      if (isForBuilder && isPacked(data))
        data = builders.read(data) ?? native.fetch(key, Date.now())
      if (state.isTelling && data)
        version = data instanceof PackedBody ? data.version : native.version()
      if (state.isTelling && data && this.hasLifetime) created = native.created(key, Date.now())
    } catch (err) {
      return fail(fn, err)
    }
    if (disposal) disposal.ofRemoved()
    if (!data) return giveNothing(fn)

    let session
    try {
      session = parse(serializer, data)
    } catch (err) {
      return fail(fn, err, undefined)
    }
    if (state.isTelling) state.ties.noteRead(session, key, data, version, created)
    return give(fn, session)
  }

  set(key, session, data, ttl, serializer, fn) {
    const { disposal } = this
    const { ties, isNew } = this.state
    try {
      const tie = ties.of(session, key)
      if (tie) {
        writeTied(this, serializer, tie, session, data, ttl)
      } else {
        const version = writeNew(this, serializer, key, session, data, ttl)
        // A new session is tied from its first write on: its request may write it again.
        if (version !== undefined && isNew(session)) {
          const created = this.hasLifetime ? this.native.created(key, Date.now()) : undefined
          ties.tieNew(session, key, data, version, created)
        }
      }
    } catch (err) {
      if (disposal) disposal.ofRemoved()
      return fail(fn, err)
    }
    if (disposal) disposal.ofRemoved()
    return done(fn)
  }

  touch(key, session, ttl, serializer, fn) {
    const { disposal, state } = this
    const tie = state.options.conflict === 'overwrite' ? undefined : state.ties.of(session, key)
    let lifetime
    if (this.hasLifetimeFunction) {
      try {
        lifetime = lifetimeOf(state.options, session, key)
      } catch (err) {
        return fail(fn, err)
      }
    }
    const now = Date.now()
    // The clock may have closed the store.
    if (!state.isOpen) return state.refuse('touch', key, fn)
    try {
      const isDone =
        serializer === JSON &&
        (!disposal || state.options.noDisposeOnSet) &&
        (this.cookies.touch(key, session, now, ttl, tie !== undefined, lifetime) ||
          (tie && mergeCookie(this, key, session, now, ttl, tie, lifetime)))
      if (!isDone) rewrite(this, serializer, key, session, ttl, tie)
    } catch (err) {
      if (disposal) disposal.ofRemoved()
      return fail(fn, err)
    }
    if (disposal) disposal.ofRemoved()
    return done(fn)
  }

  /** `wrong` is the error of the first sid that is none. */
  destroy(keys, wrong, fn) {
    const { native, disposal } = this
    for (const key of keys) {
      try {
        native.destroy(key, Date.now())
        this.state.watches.ended(key)
      } catch (err) {
        wrong ??= err
      }
    }
    if (disposal) disposal.ofRemoved()
    return wrong ? fail(fn, wrong) : done(fn)
  }

  sessionsOf(user, current, serializer, fn) {
    try {
      const sessions = sessionsOf(this, user, current, serializer)
      return isPromise(sessions) ? later(fn, sessions) : give(fn, sessions)
    } catch (err) {
      return fail(fn, err)
    }
  }

  destroyUser(user, which, fn) {
    try {
      const count = destroyUser(this, user, which)
      return isPromise(count) ? later(fn, count) : give(fn, count)
    } catch (err) {
      return fail(fn, err)
    }
  }

  info(key, serializer, fn) {
    try {
      const found = info(this, key, serializer)
      return found === undefined ? giveNothing(fn) : give(fn, found)
    } catch (err) {
      return fail(fn, err)
    }
  }

  ids(fn) {
    const ids = []
    try {
      if (this.native.length() > AT_ONCE) return later(fn, collectIds(this))
      this.native.ids(ids)
    } catch (err) {
      return fail(fn, err)
    }
    return give(fn, ids)
  }

  all(serializer, fn) {
    const { native, disposal } = this
    const pairs = []
    const sessions = Object.create(null)
    try {
      if (native.length() > AT_ONCE) return later(fn, this.#collectAll(serializer))
      native.all(pairs, Date.now())
      if (disposal) disposal.ofRemoved()
      for (let i = 0; i < pairs.length; i += 2) {
        const [sid, data] = [pairs[i], pairs[i + 1]]
        sessions[sid] = parse(forSid(serializer, sid), data)
      }
    } catch (err) {
      return fail(fn, err)
    }
    return give(fn, sessions)
  }

  async #collectAll(serializer) {
    const sessions = Object.create(null)
    for await (const [sid, session] of this.entries(serializer)) sessions[sid] = session
    return sessions
  }

  keys() {
    return eachSid(this, 'keys')
  }

  async *entries(serializer) {
    const { native, disposal } = this
    for await (const sid of eachSid(this, 'entries', SESSIONS_A_TURN)) {
      const data = inThisRealm(() => native.peek(sid, Date.now()))
      if (disposal) disposal.ofRemoved()
      if (data) yield [sid, parse(forSid(serializer, sid), data)]
    }
  }

  clear(fn) {
    try {
      this.native.clear(Date.now())
    } catch (err) {
      return fail(fn, err)
    }
    this.state.watches.allEnded()
    if (!this.disposal) return done(fn)
    this.disposal.ofRemoved()
    return this.#whenIdle(fn)
  }

  length(fn) {
    let length
    try {
      length = this.native.length()
    } catch (err) {
      return fail(fn, err)
    }
    return give(fn, length)
  }

  /** Those of the sessions that have ended. None is used or removed by this. */
  ended(keys) {
    const now = Date.now()
    return keys.filter((key) => !this.native.isAlive(key, now))
  }

  stats() {
    return readStats(this.native)
  }

  prune(fn) {
    try {
      this.native.prune(Date.now())
    } catch (err) {
      return fail(fn, err)
    }
    if (this.disposal) this.disposal.ofRemoved()
    return this.#whenIdle(fn)
  }

  /** Starts the timer behind `checkPeriod`, and returns it. */
  startPruning(period) {
    this.#stopPruning()
    const { timer, stop } = every(period, this, (engine) => engine.#prune())
    this.#stopPruning = stop
    return timer
  }

  stopPruning() {
    this.#stopPruning()
  }

  close(fn) {
    const { native, disposal } = this
    this.#stopPruning()
    this.#stopSyncs()
    this.#stopWatching()
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
    return isLast && disposal ? this.#whenIdle(fn) : done(fn)
  }

  /** Calls back when the background thread has nothing left to remove. */
  #whenIdle(fn) {
    const isBusy = () => inThisRealm(() => this.native.isBusy())
    try {
      return isBusy() ? later(fn, whenOver(isBusy)) : done(fn)
    } catch (err) {
      return fail(fn, err)
    }
  }

  /** Starts the timers of a store on a path. */
  #startFileTimers(syncPeriod) {
    // Before the syncs, which may take long: nobody needs one of a file that is gone.
    const period = Math.min(syncPeriod || WATCH_PERIOD, WATCH_PERIOD)
    this.#stopWatching = every(period, this, (engine) => engine.#watchFiles(), REAL).stop
    if (syncPeriod === 0) return
    this.#stopSyncs = every(syncPeriod, this, (engine) => engine.#sync(), REAL).stop
  }

  #prune() {
    debug('Pruning expired entries')
    try {
      this.native.prune(Date.now())
    } catch (err) {
      // No caller waits for this. The next call of the store reports the error.
      debug('Pruning failed: %s', err.message)
      return
    }
    this.disposal?.later()
  }

  /** If the files of the path were replaced, makes the background thread open the new ones. */
  #watchFiles() {
    const notice = this.native.watch()
    if (notice) warnOfReplacement(notice)
  }

  #sync() {
    try {
      this.native.syncLater()
    } catch (err) {
      if (!this.#hasWarnedOfSync) warnOfSync(err)
      this.#hasWarnedOfSync = true
    }
  }
}

module.exports = { NativeEngine }
