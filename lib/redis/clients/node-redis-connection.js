'use strict'

/**
 * One connection through node-redis: a client of its own that connects once. What a client of
 * node-redis keeps from one connection to the next cannot matter then.
 */

const { clearTimeout, setTimeout } = require('../../real.js')
const { offlineError, silentError } = require('./errors.js')

const TRACKING = ['CLIENT', 'TRACKING', 'ON']

/** How long the library lets a connection take, in milliseconds, unless the user says another. */
const CONNECT_TIMEOUT = 5000

class NodeRedisConnection {
  isReady = false
  tracks = false
  #client
  #handlers
  #isTracking
  #timer
  #isConnected = false
  #isOver = false

  /**
   * Never throws.
   *
   * @param connect makes a client and connects it: `connect()` returns `{ client, connected }`, or a
   *   promise of it
   * @param handlers see `Node`
   */
  constructor(connect, handlers, { isTracking }) {
    this.#handlers = handlers
    this.#isTracking = isTracking
    this.#open(connect).catch((err) => this.#fail(err))
  }

  command(args) {
    return this.#client?.sendCommand(args) ?? Promise.reject(offlineError())
  }

  ping() {
    return this.command(['PING'])
  }

  end() {
    if (this.#isOver) return
    this.#isOver = true
    this.isReady = false
    this.tracks = false
    clearTimeout(this.#timer)
    this.#endClient()
  }

  async #open(connect) {
    this.#limit(CONNECT_TIMEOUT)
    const { client, connected } = await connect()
    this.#client = client
    this.#listen()
    if (this.#isOver) this.#endClient()
    else this.#limit(client.options?.socket?.connectTimeout || CONNECT_TIMEOUT)
    await connected
    // No other command can come before this one.
    const tracks = await this.#track()
    if (this.#isOver) return
    clearTimeout(this.#timer)
    this.isReady = true
    this.tracks = tracks
    this.#handlers.changed()
  }

  #listen() {
    const client = this.#client
    client.on('error', (err) => this.#fail(err))
    client.once('connect', () => {
      this.#isConnected = true
      client.unref()
    })
    if (client.clientSideCache) {
      listen(client.clientSideCache, (keys) => {
        if (!this.#isOver) this.#handlers.invalidated(keys)
      })
    }
  }

  #limit(timeout) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#fail(silentError()), 2 * timeout)
    this.#timer.unref()
  }

  async #track() {
    // Versions before 5.1 tell of no invalidation.
    if (!this.#isTracking || !this.#client.clientSideCache) return false
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
    this.end()
    this.#handlers.lost(error)
  }

  #endClient() {
    // node-redis forgets to end a socket that is still connecting.
    if (this.#isConnected) this.#destroy()
    else this.#client?.once('connect', () => this.#destroy())
  }

  #destroy() {
    try {
      this.#client.destroy()
    } catch {
      // node-redis 5 refuses to end what has ended.
    }
  }
}

/**
 * Makes a client-side cache of node-redis hand on what it is told, and keep nothing. It does not
 * turn tracking on either: where the server refuses that, the handshake would fail.
 */
function listen(cache, invalidated) {
  cache.trackingOn = () => ['PING']
  cache.invalidate = (key) => invalidated(key === null ? null : [key.toString()])
  for (const method of ['onError', 'onClose', 'clear']) cache[method] = () => {}
}

module.exports = { NodeRedisConnection }
