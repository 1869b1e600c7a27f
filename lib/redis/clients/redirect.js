'use strict'

/**
 * Tracking on a connection of a library that cannot receive invalidations on it: the server sends
 * them to a second connection.
 */

const { setImmediate } = require('node:timers')
const { IoredisConnection } = require('./ioredis-connection.js')
const { Retry } = require('./retry.js')

const CHANNEL = '__redis__:invalidate'

class Redirect {
  /**
   * Whether it is known if the tracking works. It is not while an attempt is under way, unless the
   * attempt before it failed.
   */
  isSettled = false
  tracks = false
  #duplicate
  #send
  #handlers
  #retry = new Retry()
  /** Whether the first connection is up. */
  #isStarted = false
  /** The second connection, and its id once it listens. */
  #connection
  #id
  /** Counts the attempts to arm, so that the answer to an earlier one is ignored. */
  #attempt = 0

  /**
   * @param duplicate makes the client of the second connection
   * @param send sends a command on the first connection, while that is up
   * @param handlers `invalidated(keys)`, `changed()`: `isSettled` or `tracks` did, and
   *   `failed(error)`
   */
  constructor(duplicate, send, handlers) {
    this.#duplicate = duplicate
    this.#send = send
    this.#handlers = handlers
  }

  /** The first connection came up. */
  start() {
    this.#isStarted = true
    if (this.#id !== undefined) this.#arm()
    else if (this.#connection === undefined) this.#open()
  }

  /** The first connection went down, and with it the tracking. */
  stop() {
    this.#isStarted = false
    this.#unsettle()
  }

  ping() {
    return this.tracks ? this.#connection.call(['ping']) : undefined
  }

  end() {
    this.stop()
    this.#retry.stop()
    this.#drop()
  }

  #open() {
    this.#retry.stop()
    const connection = new IoredisConnection()
    this.#connection = connection
    connection.open(this.#duplicate, {
      up: () => this.#listen(connection),
      lost: (error) => this.#lost(error),
    })
  }

  async #listen(connection) {
    let id
    try {
      // A connection of RESP2 that has subscribed cannot ask for its id.
      id = String(await connection.call(['CLIENT', 'ID']))
      await connection.subscribe(CHANNEL, (keys) => this.#receive(keys))
    } catch {
      this.#refusedUnless(() => connection !== this.#connection)
      return
    }
    if (connection !== this.#connection) return
    this.#retry.succeeded()
    this.#id = id
    if (this.#isStarted) this.#arm()
  }

  async #arm() {
    const attempt = ++this.#attempt
    try {
      await this.#send(['CLIENT', 'TRACKING', 'ON', 'REDIRECT', this.#id])
    } catch {
      this.#refusedUnless(() => attempt !== this.#attempt)
      return
    }
    if (attempt === this.#attempt) this.#settle(true)
  }

  /** A command also fails when its connection is lost, and that may be told a little later. */
  #refusedUnless(isLost) {
    setImmediate(() => {
      if (isLost()) return
      this.#drop()
      this.#settle(false)
    })
  }

  #lost(error) {
    const wasListening = this.#id !== undefined
    this.#drop()
    if (!this.#isStarted) return
    this.#retry.later(() => this.#open())
    this.#handlers.failed(error)
    // One that is lost may be back at once. One that cannot be opened must not hold up commands.
    if (wasListening) this.#unsettle()
    if (wasListening) this.#handlers.changed()
    else this.#settle(false)
  }

  #unsettle() {
    this.#attempt++
    this.isSettled = false
    this.tracks = false
  }

  #settle(tracks) {
    if (this.isSettled && this.tracks === tracks) return
    this.isSettled = true
    this.tracks = tracks
    this.#handlers.changed()
  }

  #drop() {
    this.#connection?.end()
    this.#connection = undefined
    this.#id = undefined
  }

  #receive(keys) {
    this.#handlers.invalidated(keys === null ? null : keys.map(String))
  }
}

module.exports = { Redirect }
