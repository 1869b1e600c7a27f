'use strict'

/** A link through one client of node-redis 5 or 6. */

const { clearTimeout, setTimeout } = require('node:timers')
const { bare, offlineError } = require('./errors.js')
const { keyPrefixOf, listen, nodeOptions, TRACKING } = require('./node-redis-options.js')
const { Retry } = require('./retry.js')

/** How long the library lets a connection take, in milliseconds, unless the user says another. */
const CONNECT_TIMEOUT = 5000

class NodeRedisLink {
  isOrdered = true
  isSingle = true
  isReady = false
  tracks = false
  #user
  #handlers
  #isBinary
  #retry = new Retry()
  /** Undefined while there is none, and after `close`. */
  #connection
  #isClosed = false
  #node = { command: (args) => this.command(undefined, args) }

  constructor(user, handlers, { isBinary }) {
    this.#user = user
    this.#handlers = handlers
    this.#isBinary = isBinary
    this.keyPrefix = keyPrefixOf(user.options)
  }

  connect() {
    this.#open()
  }

  command(_key, args) {
    return this.#connection?.command(args) ?? Promise.reject(offlineError())
  }

  ping() {
    return this.command(undefined, ['PING'])
  }

  nodes() {
    return [this.#node]
  }

  reset() {
    if (this.#connection !== undefined) this.#lost(this.#connection)
  }

  close() {
    this.#isClosed = true
    this.#retry.stop()
    this.#connection?.end()
    this.#down()
  }

  #open() {
    const options = nodeOptions(this.#user.options, this.#isBinary)
    const connection = new Connection()
    this.#connection = connection
    connection.open(() => this.#user.duplicate(options), {
      invalidated: (keys) => this.#handlers.invalidated(keys),
      up: (tracks) => this.#up(tracks),
      lost: (error) => this.#lost(connection, error),
    })
  }

  #up(tracks) {
    this.#retry.succeeded()
    this.tracks = tracks
    this.isReady = true
    this.#handlers.changed()
  }

  /** @param [error] why, unless it was ended on purpose */
  #lost(connection, error) {
    connection.end()
    if (connection !== this.#connection) return
    const wasReady = this.isReady
    this.#down()
    this.#retry.later(() => this.#open())
    if (error !== undefined) this.#handlers.failed(error)
    if (wasReady && !this.#isClosed) this.#handlers.changed()
  }

  #down() {
    this.#connection = undefined
    this.isReady = false
    this.tracks = false
  }
}

/**
 * One connection: a client of its own that connects once. What a client of node-redis keeps from
 * one connection to the next cannot matter then.
 */
class Connection {
  #client
  #handlers
  #timer
  #isConnected = false
  #isOver = false

  /** Never throws. Exactly one of `up` and `lost` is called first, unless `end` is. */
  open(duplicate, handlers) {
    this.#handlers = handlers
    try {
      this.#client = duplicate()
    } catch (err) {
      this.#fail(err)
      return
    }
    this.#listen()
    this.#client.unref()
    this.#limit()
    this.#client.connect().then(
      () => this.#arm(),
      (err) => this.#fail(err),
    )
  }

  command(args) {
    return bare(this.#client.sendCommand(args))
  }

  /** Ends the connection. From here on, no handler is called. */
  end() {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    // node-redis forgets to end a socket that is still connecting.
    if (this.#isConnected) this.#destroy()
    else this.#client?.once('connect', () => this.#destroy())
  }

  #listen() {
    const client = this.#client
    client.on('error', (err) => this.#fail(err))
    client.once('connect', () => {
      this.#isConnected = true
    })
    if (client.clientSideCache) {
      listen(client.clientSideCache, (keys) => {
        if (!this.#isOver) this.#handlers.invalidated(keys)
      })
    }
  }

  /** A server that is stopped accepts connections, but never answers the handshake. */
  #limit() {
    const timeout = this.#client.options?.socket?.connectTimeout || CONNECT_TIMEOUT
    const error = () => new Error('memorystore-rs: Redis does not answer a new connection')
    this.#timer = setTimeout(() => this.#fail(error()), 2 * timeout)
    this.#timer.unref()
  }

  async #arm() {
    const tracks = await this.#track()
    if (this.#isOver) return
    clearTimeout(this.#timer)
    this.#handlers.up(tracks)
  }

  async #track() {
    // Versions before 5.1 tell of no invalidation.
    if (!this.#client.clientSideCache) return false
    try {
      await this.#client.sendCommand(TRACKING)
      return true
    } catch {
      // Refused, or the connection is lost, and `#fail` was called.
      return false
    }
  }

  #fail(error) {
    if (this.#isOver) return
    this.#handlers.lost(error)
  }

  #destroy() {
    try {
      this.#client.destroy()
    } catch {
      // node-redis 5 refuses to end what has ended.
    }
  }
}

module.exports = { NodeRedisLink }
