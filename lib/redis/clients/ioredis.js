'use strict'

/** A link through one client of ioredis 5 or 6, or iovalkey. */

const { offlineError } = require('./errors.js')
const { IoredisConnection } = require('./ioredis-connection.js')
const { keyPrefixOf, OPTIONS } = require('./ioredis-options.js')
const { Redirect } = require('./redirect.js')
const { Retry } = require('./retry.js')

class IoredisLink {
  isOrdered = false
  isSingle = false
  #duplicate
  #handlers
  #call
  #retry = new Retry()
  #redirect
  /** Undefined while there is none, and after `close`. */
  #connection
  #isClosed = false
  #node = { command: (args) => this.command(undefined, args) }

  constructor(user, handlers, { isBinary }) {
    this.#duplicate = () => user.duplicate(OPTIONS)
    this.#handlers = handlers
    this.#call = isBinary ? 'callBuffer' : 'call'
    this.#redirect = new Redirect(
      this.#duplicate,
      (args) => this.command(undefined, args),
      handlers,
    )
    this.keyPrefix = keyPrefixOf(user.options)
  }

  get isReady() {
    return this.#isUp() && this.#redirect.isSettled
  }

  get tracks() {
    return this.#redirect.tracks
  }

  connect() {
    this.#open()
  }

  command(_key, args) {
    return this.#isUp() ? this.#connection[this.#call](args) : Promise.reject(offlineError())
  }

  ping() {
    return Promise.all([this.command(undefined, ['PING']), this.#redirect.ping()])
  }

  nodes() {
    return [this.#node]
  }

  reset() {
    this.#redirect.end()
    if (this.#connection !== undefined) this.#lost()
  }

  close() {
    this.#isClosed = true
    this.#retry.stop()
    this.#redirect.end()
    this.#connection?.end()
    this.#connection = undefined
  }

  #isUp() {
    return this.#connection !== undefined && this.#connection.isReady
  }

  #open() {
    this.#connection = new IoredisConnection()
    let wasUp = false
    this.#connection.open(this.#duplicate, {
      up: () => {
        wasUp = true
        this.#retry.succeeded()
        this.#redirect.start()
      },
      lost: (error) => this.#lost(error, wasUp),
    })
  }

  /** @param [error] why, unless it was ended on purpose */
  #lost(error, wasUp = true) {
    this.#connection.end()
    this.#connection = undefined
    this.#redirect.stop()
    this.#retry.later(() => this.#open())
    if (error !== undefined) this.#handlers.failed(error)
    if (wasUp && !this.#isClosed) this.#handlers.changed()
  }
}

module.exports = { IoredisLink }
