'use strict'

/**
 * The engine of a store whose sessions are behind a network: applies the rules of the store to
 * records that answer later, and delivers the results.
 *
 * It decides what to write and what to touch; a record (see lib/redis/records.js) decides in one
 * step whether what is stored is still what was read.
 */

const { nextTick, setImmediate } = require('../real.js')
const { bodyCopy } = require('../body.js')
const { done, fail, later, soon } = require('../deliver.js')
const { every } = require('../timer.js')
const { sessionIn } = require('./copies.js')
const { Counters } = require('./counters.js')
const { Deadlines } = require('./deadlines.js')
const { disposeOf, disposeOfAll, disposesOf } = require('./disposal.js')
const { Listing } = require('./listing.js')
const { Marks } = require('./marks.js')
const { Touches } = require('./touches.js')
const { Turns } = require('./turns.js')
const { Users } = require('./users.js')
const { Writes } = require('./writes.js')

class RemoteEngine {
  #state
  #records
  #deadlines
  #counters = new Counters()
  #writes
  #touches
  #listing
  #marks
  #users
  #stopPruning = () => {}

  /**
   * @param timeout after which a call without an answer fails, in milliseconds
   * @param touchAfter in milliseconds; undefined for what suits the lifetime of each session
   */
  constructor(state, records, { timeout, touchAfter }) {
    const deadlines = new Deadlines(timeout)
    const counters = this.#counters
    const marks = new Marks(state)
    const parts = { state, records, deadlines, counters, marks, turns: new Turns() }
    this.#state = state
    this.#records = records
    this.#deadlines = deadlines
    this.#marks = marks
    this.#writes = new Writes(parts)
    this.#touches = new Touches(parts, touchAfter)
    this.#listing = new Listing(parts)
    this.#users = new Users(parts)
  }

  /**
   * Looks up in a later phase of the event loop, when all that the server has told by then was
   * heard. So a request never misses a change that was answered before it came, even if the loop
   * was held up in between.
   */
  get(sid, serializer, fn) {
    // As it will be in a record: a lone surrogate has no UTF-8.
    const key = sid.toWellFormed()
    if (typeof fn === 'function') {
      setImmediate(serve, this, key, serializer, fn)
      return undefined
    }
    const promise = new Promise((resolve, reject) => {
      setImmediate(serve, this, key, serializer, (err, session) => {
        if (err) reject(err)
        else resolve(session)
      })
    })
    promise.catch(() => {})
    return promise
  }

  serve(key, serializer, fn) {
    let copy
    try {
      copy = this.#records.cached(key)
    } catch (err) {
      return fn(err)
    }
    if (copy === undefined) return this.#load(key, serializer, fn)
    this.#counters.cacheHits++
    return this.deliver(copy, key, serializer, fn)
  }

  #load(key, serializer, fn) {
    this.#counters.cacheMisses++
    this.#deadlines
      .run('get', () => this.#records.load(key))
      .catch((err) => this.#staleOr(err, key))
      .then(
        // Outside of the promise, so that what the callback throws is an uncaught exception.
        (copy) => nextTick(deliver, this, copy, key, serializer, fn),
        (err) => nextTick(fn, err),
      )
  }

  /** Gives the callback the session of a copy. */
  deliver(copy, key, serializer, fn) {
    if (copy === undefined || copy.body === '') {
      this.#counters.misses++
      return fn()
    }
    this.#counters.hits++
    let session
    try {
      session = this.#sessionOf(copy, key, serializer)
    } catch (err) {
      return fn(err, undefined)
    }
    return fn(null, session)
  }

  #staleOr(err, key) {
    const copy = this.#records.stale(key)
    if (copy === undefined) throw err
    return copy
  }

  /** The session of a copy. It remembers what was read, for the writes of its request. */
  #sessionOf(copy, key, serializer) {
    const session = sessionIn(copy, serializer, this.#state.options)
    copy.cookie = session?.cookie
    if (this.#state.isTelling) this.#state.ties.noteRead(session, key, copy.body, copy)
    return session
  }

  set(sid, session, data, ttl, serializer, fn) {
    const key = sid.toWellFormed()
    const { ties } = this.#state
    let lifetime
    try {
      lifetime = this.#marks.lifetimeOf(session, key)
    } catch (err) {
      return fail(fn, err)
    }
    const given = { body: bodyCopy(data), ttl, lifetime, isMerge: false }
    const tie = ties.of(session, key)
    const work = async (call) => {
      const gone = tie
        ? await this.#writes.writeTied(call, tie, session, given, serializer)
        : await this.#writes.writeNew(key, session, given, serializer)
      disposeOfAll(this.#state, gone)
    }
    return later(fn, this.#deadlines.run('set', work))
  }

  touch(sid, session, ttl, serializer, fn) {
    const key = sid.toWellFormed()
    const { options, ties } = this.#state
    const tie = options.conflict === 'overwrite' ? undefined : ties.of(session, key)
    let lifetime
    try {
      lifetime = this.#marks.lifetimeOf(session, key)
      if (tie && this.#touches.isTooSoon(key, tie.version, session, ttl, serializer))
        return soon(fn)
    } catch (err) {
      return fail(fn, err)
    }
    const work = async (call) => {
      const lives = { ttl, lifetime }
      const old = await this.#touches.touch(call, key, session, lives, serializer, tie)
      disposeOf(this.#state, key, old, 'replaced')
    }
    return later(fn, this.#deadlines.run('touch', work))
  }

  /** `wrong` is the error of the first sid that is none. */
  destroy(sids, wrong, fn) {
    const keys = sids.map((sid) => sid.toWellFormed())
    const work = async () => {
      const err = await this.#remove(keys, 'destroyed')
      if (wrong || err) throw wrong ?? err
    }
    return later(fn, this.#deadlines.run('destroy', work))
  }

  /** Removes sessions, and disposes of them. Returns the first error, if there was one. */
  async #remove(keys, reason) {
    const { options, watches } = this.#state
    const wantsOld = disposesOf(options)
    const remove = async (key) => {
      const old = await this.#records.destroy(key, wantsOld)
      watches.ended(key)
      disposeOf(this.#state, key, old, reason)
    }
    const done = await Promise.allSettled(keys.map(remove))
    return done.find(({ status }) => status === 'rejected')?.reason
  }

  sessionsOf(user, current, serializer, fn) {
    return later(fn, this.#users.sessionsOf(user, current?.toWellFormed(), serializer))
  }

  destroyUser(user, { except, only }, fn) {
    const which = { except: except?.toWellFormed(), only }
    return later(fn, this.#users.destroyUser(user, which))
  }

  info(sid, serializer, fn) {
    return later(fn, this.#users.info(sid.toWellFormed(), serializer))
  }

  ids(fn) {
    return later(fn, this.#listing.ids())
  }

  all(serializer, fn) {
    return later(fn, this.#listing.all(serializer))
  }

  keys() {
    return this.#listing.keys()
  }

  entries(serializer) {
    return this.#listing.entries(serializer)
  }

  length(fn) {
    return later(fn, this.#listing.length())
  }

  clear(fn) {
    return later(fn, this.#clear())
  }

  async #clear() {
    await this.#listing.clear((sids) => this.#remove(sids, 'cleared'))
    // Sessions may have been written meanwhile.
    this.#state.watches.askNow()
  }

  /** Those of the sessions that have ended; not those that cannot be asked about at the moment. */
  async ended(keys) {
    const ask = () => Promise.allSettled(keys.map((key) => this.#records.has(key)))
    const answers = await this.#deadlines.run('watch', ask)
    return keys.filter((_key, i) => answers[i].value === false)
  }

  stats() {
    return this.#counters.with(this.#records.stats())
  }

  /** The server removes what has expired by itself; here only the copies of it are removed. */
  prune(fn) {
    this.#records.prune()
    return done(fn)
  }

  /** Starts the timer behind `checkPeriod`, and returns it. */
  startPruning(period) {
    this.#stopPruning()
    const { timer, stop } = every(period, this, (engine) => engine.#records.prune())
    this.#stopPruning = stop
    return timer
  }

  stopPruning() {
    this.#stopPruning()
  }

  /** Calls under way get their answers first. */
  close(fn) {
    return later(fn, this.#close())
  }

  async #close() {
    // Some may not have begun.
    await new Promise((resolve) => setImmediate(resolve))
    await this.#deadlines.idle()
    this.#records.close()
  }
}

function serve(engine, key, serializer, fn) {
  engine.serve(key, serializer, fn)
}

function deliver(engine, copy, key, serializer, fn) {
  engine.deliver(copy, key, serializer, fn)
}

module.exports = { RemoteEngine }
