'use strict'

/**
 * What a store has besides its public properties: the native store, what requests have read, and
 * the timers.
 */

const { Cookies } = require('./cookie.js')
const { done, fail, later } = require('./deliver.js')
const { Disposal } = require('./disposal.js')
const { closedError, inThisRealm, sidError } = require('./errors.js')
const { debug } = require('./log.js')
const { Ties } = require('./ties.js')
const { every, REAL } = require('./timer.js')
const { whenOver } = require('./turns.js')
const { warnOfReplacement, warnOfSync } = require('./warnings.js')

/** A store checks at least this often whether the files of its path are still there, in ms. */
const WATCH_PERIOD = 1000

const nothing = () => {}

class State {
  isOpen = true
  ties = new Ties()
  #hasWarnedOfSync = false
  #stopPruning = nothing
  #stopSyncs = nothing
  #stopWatching = nothing

  /**
   * @param options what `store.options` holds
   * @param native the functions of the native store
   */
  constructor(options, native) {
    this.options = options
    this.native = native
    this.cookies = new Cookies(native)
    this.disposal = options.dispose ? new Disposal(native, options.dispose) : undefined
  }

  assertOpen(method) {
    if (!this.isOpen) throw closedError(method)
  }

  /** Delivers why a call cannot be done: the store is closed, or the sid is not one. */
  refuse(method, sid, fn) {
    return fail(fn, this.isOpen ? sidError(method, sid) : closedError(method))
  }

  /** Calls back when the background thread has nothing left to remove. */
  whenIdle(fn) {
    const isBusy = () => inThisRealm(() => this.native.isBusy())
    try {
      return isBusy() ? later(fn, whenOver(isBusy)) : done(fn)
    } catch (err) {
      return fail(fn, err)
    }
  }

  /** Starts the timer behind `checkPeriod`, and returns it. */
  startPruning(period) {
    this.#stopPruning()
    const { timer, stop } = every(period, this, (state) => state.#prune())
    this.#stopPruning = stop
    return timer
  }

  stopPruning() {
    this.#stopPruning()
  }

  /** Starts the timers of a store on a path. With a `syncPeriod` of 0 there are no syncs. */
  startFileTimers(syncPeriod) {
    // Before the syncs, which may take long: nobody needs one of a file that is gone.
    const period = Math.min(syncPeriod || WATCH_PERIOD, WATCH_PERIOD)
    this.#stopWatching = every(period, this, (state) => state.#watchFiles(), REAL).stop
    if (syncPeriod === 0) return
    this.#stopSyncs = every(syncPeriod, this, (state) => state.#sync(), REAL).stop
  }

  /** From here on, every call is refused. */
  close() {
    this.isOpen = false
    this.#stopPruning()
    this.#stopSyncs()
    this.#stopWatching()
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

module.exports = { State }
