'use strict'

/**
 * One connection through ioredis or iovalkey: a client of its own that connects once. Nothing that
 * the library keeps from one connection to the next can matter then.
 */

const { clearTimeout, setTimeout } = require('node:timers')
const { bare, lostError, strippedOf } = require('./errors.js')

/** How long the library lets a connection take, in milliseconds, unless the user says another. */
const CONNECT_TIMEOUT = 10_000

class IoredisConnection {
  isReady = false
  #redis
  #handlers
  #timer
  #isOver = false

  /**
   * Never throws.
   *
   * @param duplicate makes the client, which must not connect by itself
   * @param handlers `up()`, and `lost(error)` once, before `up` or after it
   */
  open(duplicate, handlers) {
    this.#handlers = handlers
    try {
      this.#redis = duplicate()
      this.#listen()
      this.#limit()
      this.#redis.connect().catch(() => {})
    } catch (err) {
      this.#fail(err)
    }
  }

  call(args) {
    return bare(this.#redis.call(...args))
  }

  callBuffer(args) {
    return bare(this.#redis.callBuffer(...args))
  }

  /** Subscribes to `channel`; calls `received` with what is published, which may be an array. */
  subscribe(channel, received) {
    this.#redis.on('messageBuffer', (from, message) => {
      if (!this.#isOver && String(from) === channel) received(message)
    })
    return this.#redis.subscribe(channel)
  }

  /** Ends the connection. From here on, no handler is called. */
  end() {
    if (this.#isOver) return
    this.#isOver = true
    this.isReady = false
    clearTimeout(this.#timer)
    // `disconnect` would wait for the server to end it too, and keep the process alive meanwhile.
    if (this.#redis?.stream) this.#redis.stream.destroy()
    else this.#redis?.disconnect()
  }

  #listen() {
    const redis = this.#redis
    redis.on('connect', () => redis.stream?.unref?.())
    redis.on('ready', () => this.#up())
    // Also where a command of the handshake fails and the library would go on without it.
    redis.on('error', (err) => this.#fail(err))
    redis.on('end', () => this.#fail(lostError()))
  }

  /** A server that is stopped accepts connections, but never answers the handshake. */
  #limit() {
    const timeout = this.#redis.options?.connectTimeout || CONNECT_TIMEOUT
    const error = () => new Error('memorystore-rs: Redis does not answer a new connection')
    this.#timer = setTimeout(() => this.#fail(error()), 2 * timeout)
    this.#timer.unref()
  }

  #up() {
    if (this.#isOver) return
    clearTimeout(this.#timer)
    this.isReady = true
    this.#handlers.up()
  }

  #fail(error) {
    if (this.#isOver) return
    this.end()
    this.#handlers.lost(strippedOf(error))
  }
}

module.exports = { IoredisConnection }
