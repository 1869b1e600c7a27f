'use strict'

/**
 * Tells when sessions end. What this store destroys or clears is told of at once. For all else, a
 * timer asks the engine about the watched sessions: however a session ended, and in whichever
 * process or machine, it is not there any more.
 *
 * There is no timer while nothing is watched. It keeps neither the process nor the store alive, and
 * neither does the function that ends the watching.
 */

const { AsyncResource } = require('node:async_hooks')
const { setImmediate } = require('./real.js')
const { debug } = require('./log.js')
const { every, REAL } = require('./timer.js')
const { turn } = require('./turns.js')

/** How often the engine is asked, in milliseconds. */
const PERIOD = 1000

/** How many sessions it is asked about, and how many ends are told of, in one turn of the loop. */
const A_TURN = 250

const nothing = () => {}

/**
 * Whoever watches a session.
 *
 * @typedef {object} Watcher
 * @property {string} key
 * @property {AsyncResource} context in which it watched, and is called
 * @property {(() => void) | undefined} fn undefined if it is not to be called any more
 */

class Watches {
  #state
  #self = new WeakRef(this)
  /** The watchers of each key, an array that is never changed. */
  #watchers = new Map()
  /** The keys that the engine is to be asked about first. */
  #hurried = new Set()
  /** The keys that it has yet to be asked about in a round over all; undefined if there is none. */
  #round
  /** Whether another round is to follow: those asked about before may have ended since. */
  #isRoundDue = false
  /** The watchers to call: iterators. */
  #due = []
  #isAsking = false
  #stopTimer = nothing

  constructor(state) {
    this.#state = state
  }

  /** Calls `fn` when the session has ended. Returns a function that ends the watching. */
  watch(key, fn) {
    const watcher = { key, fn, context: new AsyncResource('MemoryStoreWatcher') }
    if (this.#watchers.size === 0) this.#startTimer()
    this.#watchers.set(key, [...(this.#watchers.get(key) ?? []), watcher])
    this.#hurry(key)
    return stopping(this.#self, watcher)
  }

  forget(watcher) {
    const { key } = watcher
    const watchers = this.#watchers.get(key)
    if (!watchers?.includes(watcher)) return
    const others = watchers.filter((other) => other !== watcher)
    if (others.length === 0) this.#forgetKey(key)
    else this.#watchers.set(key, others)
  }

  /** Notes that a session was destroyed. */
  ended(key) {
    const watchers = this.#watchers.get(key)
    if (watchers === undefined) return
    this.#forgetKey(key)
    this.#tell([watchers])
  }

  /** Notes that all sessions were cleared. */
  allEnded() {
    if (this.#watchers.size === 0) return
    const groups = this.#watchers.values()
    this.#forgetAll()
    this.#tell(groups)
  }

  /** Asks the engine about all watched sessions now: many may have ended. */
  askNow() {
    if (this.#watchers.size === 0) return
    this.#isRoundDue = true
    this.#beginAsking()
  }

  /** From here on nothing is told. */
  close() {
    this.#forgetAll()
    this.#due = []
  }

  #startTimer() {
    this.#stopTimer = every(PERIOD, this, (watches) => watches.#askAll(), REAL).stop
  }

  #forgetKey(key) {
    this.#watchers.delete(key)
    this.#hurried.delete(key)
    if (this.#watchers.size === 0) this.#stopTimer()
  }

  #forgetAll() {
    this.#watchers = new Map()
    this.#hurried = new Set()
    this.#round = undefined
    this.#isRoundDue = false
    this.#stopTimer()
  }

  /** Calls the functions of groups of watchers in a later turn; of very many, some a turn. */
  #tell(groups) {
    const isUnderWay = this.#due.length > 0
    this.#due.push(each(groups))
    if (!isUnderWay) setImmediate(() => this.#tellSome())
  }

  #tellSome() {
    try {
      for (let left = A_TURN; left > 0 && this.#due.length > 0; left--) {
        const { value: watcher, done } = this.#due[0].next()
        if (done) this.#due.shift()
        else if (watcher.fn) watcher.context.runInAsyncScope(watcher.fn)
      }
    } finally {
      // What a function throws is an uncaught exception, and does not concern the others.
      if (this.#due.length > 0) setImmediate(() => this.#tellSome())
    }
  }

  /** Asks the engine about a session in the next turn. */
  #hurry(key) {
    this.#hurried.add(key)
    this.#beginAsking()
  }

  /** Asks about all, unless the last time is not over yet. */
  #askAll() {
    if (this.#round === undefined) this.askNow()
  }

  #beginAsking() {
    if (this.#isAsking) return
    this.#isAsking = true
    setImmediate(() => this.#ask())
  }

  /**
   * Asks about some keys a turn until no more are due. However many want to know something at once,
   * only one of these runs, so what is done in a turn is bounded.
   */
  async #ask() {
    for (let keys; (keys = this.#takeKeys()).length > 0;) {
      await this.#askAbout(keys)
      await turn()
    }
    this.#isAsking = false
  }

  #takeKeys() {
    const keys = []
    for (const key of this.#hurried) {
      if (keys.length === A_TURN) return keys
      this.#hurried.delete(key)
      keys.push(key)
    }
    while (keys.length < A_TURN && (this.#round || this.#isRoundDue)) {
      if (!this.#round) {
        this.#round = this.#watchers.keys()
        this.#isRoundDue = false
      }
      const { value, done } = this.#round.next()
      if (done) this.#round = undefined
      else keys.push(value)
    }
    return keys
  }

  async #askAbout(keys) {
    if (!this.#state.isOpen) return
    const asked = new Map(keys.map((key) => [key, this.#watchers.get(key)]))
    let ended
    try {
      ended = await this.#state.engine.ended(keys)
    } catch (err) {
      // It is no end. They are asked about again.
      debug('Asking about watched sessions failed: %s', err.message)
      return
    }
    for (const key of ended) {
      // To whoever came since then, another answer is on its way.
      if (this.#watchers.get(key) === asked.get(key)) this.ended(key)
    }
  }
}

function* each(groups) {
  for (const watchers of groups) yield* watchers
}

/** It does not hold the watches, which would keep the store alive. */
function stopping(watches, watcher) {
  return () => {
    watcher.fn = undefined
    watches.deref()?.forget(watcher)
  }
}

module.exports = { Watches }
