'use strict'

/**
 * A connection of a library that cannot receive invalidations on it, and a second one to the same
 * server on which they arrive.
 */

const { clearTimeout, setImmediate, setTimeout } = require('../../real.js')
const { silentError, strippedOf } = require('./errors.js')
const { IoredisConnection } = require('./ioredis-connection.js')
const { Retry } = require('./retry.js')

const CHANNEL = '__redis__:invalidate'

class RedirectedConnection {
  tracks = false
  /** Only when it is known whether it tracks. */
  isReady = false
  #isTracking
  #create
  #place
  #handlers
  #call
  #data
  /** The second connection, if there is one, and when to open another. */
  #messages
  #retry = new Retry()
  #timer
  #isOver = false

  /**
   * @param create makes a client that does not connect by itself: `create(place)`
   * @param locate resolves to the place of the server, for both connections
   * @param isTracking whether there is a second connection at all
   * @param handlers see `Node`
   */
  constructor({ create, locate, isBinary, isTracking }, handlers) {
    this.#isTracking = isTracking
    this.#create = create
    this.#handlers = handlers
    this.#call = isBinary ? 'callBuffer' : 'call'
    const first = async () => {
      this.#place = await locate()
      return create(this.#place)
    }
    this.#data = new IoredisConnection(first, {
      up: () => this.#greet(),
      lost: (error) => this.#fail(error),
    })
  }

  command(args) {
    return this.#data[this.#call](args)
  }

  ping() {
    const pings = [this.#data.call(['ping'])]
    if (this.tracks) pings.push(this.#messages.call(['ping']))
    return Promise.all(pings)
  }

  end() {
    if (this.#isOver) return
    this.#isOver = true
    this.isReady = false
    this.tracks = false
    clearTimeout(this.#timer)
    this.#retry.stop()
    this.#data.end()
    this.#messages?.end()
  }

  /** Some versions of the libraries call a connection ready before the server has answered. */
  async #greet() {
    this.#limit(this.#data)
    try {
      await this.#data.call(['ping'])
    } catch (err) {
      await turn()
      this.#fail(err)
    }
    if (this.#isOver) return
    clearTimeout(this.#timer)
    if (this.#isTracking) this.#listen()
    else this.#settle(false)
  }

  #limit({ patience }) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#fail(silentError()), patience)
    this.#timer.unref()
  }

  /** Opens the second connection. */
  #listen() {
    const messages = new IoredisConnection(() => this.#create(this.#place), {
      up: () => {
        this.#limit(messages)
        this.#arm(messages)
      },
      lost: (error) => this.#lostMessages(error),
    })
    this.#messages = messages
  }

  async #arm(messages) {
    let tracks = false
    try {
      await this.#track(messages)
      tracks = true
    } catch {
      // Refused. Or a connection is lost, which is told a little later than its commands fail.
      await turn()
    }
    if (this.#isOver || messages !== this.#messages) return
    if (tracks) this.#retry.succeeded()
    else this.#dropMessages()
    this.#settle(tracks)
  }

  async #track(messages) {
    // A connection of RESP2 that has subscribed cannot ask for its id any more.
    const id = await messages.call(['client', 'id'])
    await messages.subscribe(CHANNEL, (keys) => this.#receive(keys))
    await this.#data.call(['client', 'tracking', 'on', 'redirect', String(id)])
  }

  #receive(keys) {
    if (!this.#isOver) this.#handlers.invalidated(keys === null ? null : keys.map(String))
  }

  #lostMessages(error) {
    const { tracks } = this
    this.#dropMessages()
    this.#retry.later(() => this.#listen())
    this.#handlers.failed(strippedOf(error))
    if (this.#isOver) return
    if (!tracks) {
      // One that cannot be opened must not hold up commands.
      this.#settle(false)
      return
    }
    // It may be back at once: not that the engine takes it for refused.
    this.isReady = false
    this.tracks = false
    this.#handlers.changed()
  }

  #dropMessages() {
    clearTimeout(this.#timer)
    this.#messages.end()
    this.#messages = undefined
  }

  #settle(tracks) {
    clearTimeout(this.#timer)
    if (this.isReady && this.tracks === tracks) return
    this.isReady = true
    this.tracks = tracks
    this.#handlers.changed()
  }

  #fail(error) {
    if (this.#isOver) return
    this.end()
    this.#handlers.lost(error)
  }
}

function turn() {
  return new Promise((resolve) => setImmediate(resolve))
}

module.exports = { RedirectedConnection }
