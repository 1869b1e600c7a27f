'use strict'

/**
 * One connection through ioredis or iovalkey: a client of its own that connects once. Nothing that
 * the library keeps from one connection to the next can matter then.
 */

const { clearTimeout, setTimeout } = require('../../real.js')
const { lostError, offlineError, silentError } = require('./errors.js')

/** How long the library lets a connection take, in milliseconds, unless the user says another. */
const CONNECT_TIMEOUT = 10_000

class IoredisConnection {
  /** How long the server may take to answer a new connection, in milliseconds. */
  patience = 2 * CONNECT_TIMEOUT
  #redis
  #handlers
  #timer
  #isOver = false
  #isCorked = false
  #uncork = (stream) => {
    this.#isCorked = false
    stream.uncork()
  }

  /**
   * Never throws.
   *
   * @param create makes a client that does not connect by itself, or a promise of one
   * @param handlers `up()`, and `lost(error)` at most once, before `up` or after it; none is called
   *   before this returns, and none after `end`
   */
  constructor(create, handlers) {
    this.#handlers = handlers
    this.#open(create).catch((err) => this.#fail(err))
  }

  call(args) {
    this.#cork()
    return this.#redis?.call(...args) ?? Promise.reject(offlineError())
  }

  /** The same for replies that are Buffers. */
  callBuffer(args) {
    this.#cork()
    return this.#redis?.callBuffer(...args) ?? Promise.reject(offlineError())
  }

  /** Commands of one turn are one write: the library would make one of each. */
  #cork() {
    const stream = this.#redis?.stream
    if (this.#isCorked || !stream) return
    this.#isCorked = true
    stream.cork()
    process.nextTick(this.#uncork, stream)
  }

  /** Calls `received` with what is published on `channel`, which may be an array. */
  subscribe(channel, received) {
    this.#redis.on('messageBuffer', (from, message) => {
      if (!this.#isOver && String(from) === channel) received(message)
    })
    return this.#redis.subscribe(channel)
  }

  end() {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    // `disconnect` would wait for the server to end it too, and keep the process alive meanwhile.
    if (this.#redis?.stream) this.#redis.stream.destroy()
    else this.#redis?.disconnect()
  }

  async #open(create) {
    this.#limit()
    const redis = await create()
    if (this.#isOver) return
    this.#redis = redis
    this.patience = 2 * (redis.options?.connectTimeout || CONNECT_TIMEOUT)
    this.#limit()
    redis.on('connect', () => redis.stream?.unref?.())
    redis.on('ready', () => this.#up())
    // Also where a command of the handshake fails and the library would go on without it.
    redis.on('error', (err) => this.#fail(err))
    redis.on('end', () => this.#fail(lostError()))
    // Where it rejects, there is an event too, which says why.
    redis.connect().catch(() => {})
  }

  #limit() {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#fail(silentError()), this.patience)
    this.#timer.unref()
  }

  #up() {
    if (this.#isOver) return
    clearTimeout(this.#timer)
    this.#handlers.up()
  }

  #fail(error) {
    if (this.#isOver) return
    this.end()
    this.#handlers.lost(error)
  }
}

module.exports = { IoredisConnection }
