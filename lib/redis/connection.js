'use strict'

/**
 * The connection of a store to Redis or Valkey: sends commands and scripts, tells errors, and finds
 * out whether the server can be relied on to tell of changes.
 *
 * It knows keys and commands, and nothing of sessions.
 */

const { setTimeout } = require('../real.js')
const { refusedByServerError, unavailableError } = require('../errors.js')
const { monotonic } = require('../remote/clock.js')
const { warnOfNoTracking } = require('../warnings.js')
const { openLink } = require('./clients/index.js')
const { Heartbeat } = require('./heartbeat.js')
const { Probe } = require('./probe.js')
const { scripts } = require('./scripts.js')

/** How long to wait until the server is asked again if it tracks, in milliseconds. */
const PROOF_PAUSE = 1000

class Connection {
  roundTrips = 0
  #link
  #handlers
  #heartbeat
  #probe
  #isTracking
  /** The scripts that were sent through this connection. */
  #known = new Set()
  /** Counts what makes all that was read doubtful. */
  #epoch = 0
  #hasWarned = false
  /** Why there was no connection, the last time. */
  #cause
  /** Calls that came before the first connection. */
  #first = deferred()

  /**
   * @param client the user's client
   * @param {object} options `timeout` and `maxStale`; with a `maxStale` of 0 nothing is tracked
   * @param {boolean} isBinary whether replies are bytes
   * @param {object} handlers
   * @param {(keys: string[] | null) => void} handlers.invalidated the server tells of changes; null
   *   for all keys
   * @param {() => void} handlers.trusted from now on the server is known to tell
   * @param {() => void} handlers.distrusted what was read may have changed without notice
   * @param {(text: string) => string} handlers.nameOf a key that no session has, made of some text
   */
  constructor(client, { timeout, maxStale }, isBinary, handlers) {
    this.#isTracking = maxStale > 0
    this.#handlers = handlers
    const events = {
      invalidated: (keys) => this.#invalidated(keys),
      changed: () => this.#changed(),
      failed: (err) => this.#failed(err),
    }
    this.#link = openLink(client, events, { isBinary, isTracking: this.#isTracking })
    this.#heartbeat = new Heartbeat(this.#link, timeout, maxStale, events.failed)
    this.#probe = new Probe(timeout)
  }

  /** What the user's client puts before all keys. */
  get keyPrefix() {
    return this.#link.keyPrefix
  }

  /** Whether the keys may be on several servers. */
  get isCluster() {
    return this.#link.isCluster
  }

  /** Whether replies and invalidations arrive in the server's order. */
  get isOrdered() {
    return this.#link.isOrdered
  }

  /** When the latest request was sent that was answered: every earlier change was told by then. */
  get answeredAt() {
    return this.#heartbeat.answeredAt
  }

  connect() {
    this.#link.connect()
  }

  /** Whether commands can be sent. */
  get isReady() {
    return this.#link.isReady
  }

  /**
   * Waits for the first connection. When it was there once, or could not be made, it is missed.
   *
   * @throws ERR_MEMORYSTORE_UNAVAILABLE
   */
  whenReady() {
    if (this.#first.isOver) throw unavailableError(this.#cause)
    return this.#first.promise
  }

  /** The masters, for SCAN: functions that send a command. */
  nodes() {
    return this.#link.nodes().map((node) => (args) => this.#answered(node.command(args)))
  }

  /** Runs a script: its reply. */
  run(name, keys, args) {
    const { sha, text } = scripts[name]
    const rest = [String(keys.length), ...keys, ...args]
    const [key] = keys
    // What the server does not know yet is sent whole, so that no later command overtakes it.
    if (this.#link.isSingle && !this.#known.has(name)) {
      this.#known.add(name)
      return this.send(key, ['EVAL', text, ...rest])
    }
    this.roundTrips++
    const sentAt = monotonic()
    return this.#link.command(key, ['EVALSHA', sha, ...rest]).then(
      (reply) => {
        this.#noteAnswer(sentAt)
        return reply
      },
      (err) => {
        if (!/^NOSCRIPT\b/.test(err?.message)) throw this.#errorOf(err)
        return this.send(key, ['EVAL', text, ...rest])
      },
    )
  }

  /**
   * The value of a key, and for how long it lives in milliseconds: less than 0 for ever. Undefined
   * if it is not there. These are two commands in one round trip, because a script would cost the
   * server three times as much. If the key changes in between, that is told before this resolves.
   */
  async read(key) {
    this.roundTrips++
    const sentAt = monotonic()
    const commands = [
      ['GET', key],
      ['PTTL', key],
    ]
    let replies
    try {
      replies = await Promise.all(commands.map((args) => this.#link.command(key, args)))
    } catch (err) {
      throw this.#errorOf(err)
    }
    this.#noteAnswer(sentAt)
    const [value, left] = replies
    return value === null || left === NO_KEY ? undefined : replies
  }

  /** Sends a command that is about `key`: its reply. */
  send(key, args) {
    this.roundTrips++
    const sentAt = monotonic()
    return this.#link.command(key, args).then(
      (reply) => {
        this.#noteAnswer(sentAt)
        return reply
      },
      (err) => {
        throw this.#errorOf(err)
      },
    )
  }

  #noteAnswer(sentAt) {
    if (this.#link.isSingle && this.#link.isOrdered) this.#heartbeat.noteAnswer(sentAt)
  }

  async #answered(promise) {
    this.roundTrips++
    try {
      return await promise
    } catch (err) {
      throw this.#errorOf(err)
    }
  }

  close() {
    this.#epoch++
    this.#heartbeat.stop()
    this.#link.close()
    this.#first.reject(unavailableError(this.#cause))
  }

  #errorOf(err) {
    return isRefusal(err) ? refusedByServerError(err) : unavailableError(err)
  }

  #invalidated(keys) {
    const others = keys && keys.filter((key) => !this.#probe.take(key))
    if (others === null || others.length > 0) this.#handlers.invalidated(others)
  }

  #changed() {
    const epoch = ++this.#epoch
    this.#known.clear()
    this.#handlers.distrusted()
    if (!this.#link.isReady) return
    this.#first.resolve()
    if (this.#isTracking) this.#prove(epoch)
  }

  async #prove(epoch) {
    let isProven = false
    try {
      const { nameOf } = this.#handlers
      isProven = this.#link.tracks && (await this.#probe.proves(this.#link, nameOf))
    } catch (err) {
      // A server that is full, or loads its data, can still turn out to track.
      if (!IS_FORBIDDEN.test(err?.message)) {
        this.#later(epoch, () => this.#prove(epoch))
        return
      }
    }
    if (epoch !== this.#epoch || !this.#link.isReady) return
    if (isProven) {
      this.#handlers.trusted()
      this.#heartbeat.beat()
      return
    }
    if (this.#hasWarned) return
    // Where only a connection is missing, there will be another one in a moment.
    this.#later(epoch, () => {
      this.#hasWarned = true
      warnOfNoTracking()
    })
  }

  /** Calls `fn` after a while, unless the connection has changed until then. */
  #later(epoch, fn) {
    const timer = setTimeout(() => {
      if (epoch === this.#epoch) fn()
    }, PROOF_PAUSE)
    timer.unref()
  }

  #failed(err) {
    this.#cause = err
    this.#first.reject(unavailableError(err))
  }
}

/** What PTTL says of a key that is not there. */
const NO_KEY = -2

/** Errors of a server that may answer otherwise in a moment. */
const IS_PASSING = /^(LOADING|CLUSTERDOWN|MASTERDOWN|READONLY|TRYAGAIN|NOREPLICAS|BUSY|UNBLOCKED)\b/

/** An error that the account will always get. */
const IS_FORBIDDEN = /^NOPERM\b/

/** Whether the server has answered, and refuses the command. */
function isRefusal(err) {
  const message = String(err?.message)
  return /^[A-Z]+ /.test(message) && !IS_PASSING.test(message)
}

/** A promise with what settles it; a rejection that nobody waits for is none. */
function deferred() {
  const result = { isOver: false }
  result.promise = new Promise((resolve, reject) => {
    result.resolve = () => {
      result.isOver = true
      resolve()
    }
    result.reject = (err) => {
      result.isOver = true
      reject(err)
    }
  })
  result.promise.catch(() => {})
  return result
}

module.exports = { Connection }
