'use strict'

/**
 * A connection of a library that cannot receive invalidations on it, and a second one to the same
 * server on which they arrive.
 */

const { setImmediate } = require('node:timers')
const { strippedOf } = require('./errors.js')
const { IoredisConnection } = require('./ioredis-connection.js')
const { Retry } = require('./retry.js')

const CHANNEL = '__redis__:invalidate'

class RedirectedConnection {
  tracks = false
  /** Only when it is known whether it tracks. */
  isReady = false
  #create
  #place
  #handlers
  #call
  #data
  /** The second connection, if there is one, and when to open another. */
  #messages
  #retry = new Retry()
  #isOver = false

  /**
   * @param create makes a client that does not connect by itself: `create(place)`
   * @param locate resolves to the place of the server, for both connections
   * @param handlers see `Node`
   */
  constructor({ create, locate, isBinary }, handlers) {
    this.#create = create
    this.#handlers = handlers
    this.#call = isBinary ? 'callBuffer' : 'call'
    const first = async () => {
      this.#place = await locate()
      return create(this.#place)
    }
    this.#data = new IoredisConnection(first, {
      up: () => this.#listen(),
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
    this.#retry.stop()
    this.#data.end()
    this.#messages?.end()
  }

  /** Opens the second connection. */
  #listen() {
    const messages = new IoredisConnection(() => this.#create(this.#place), {
      up: () => this.#arm(messages),
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
      await new Promise((resolve) => setImmediate(resolve))
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
    this.#messages.end()
    this.#messages = undefined
  }

  #settle(tracks) {
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

module.exports = { RedirectedConnection }
