'use strict'

/** One server of a link: its connection, and another one whenever that is lost. */

const { offlineError, strippedOf } = require('./errors.js')
const { Retry } = require('./retry.js')

class Node {
  #connect
  #handlers
  #retry = new Retry()
  /** Undefined while there is none. */
  #connection
  #isEnded = false
  #noteError = (error) => this.#note(error)

  /**
   * @param connect opens a connection and returns it: `connect({ invalidated, changed, failed,
   *   lost })`. It calls `changed` if its `isReady` or `tracks` changed, and `lost` at most once.
   *   It calls nothing before it returns, and nothing after `end`
   * @param handlers `invalidated(keys)`, `changed()` and `failed(error)`
   */
  constructor(connect, handlers) {
    this.#connect = connect
    this.#handlers = handlers
  }

  get isReady() {
    return this.#connection !== undefined && this.#connection.isReady
  }

  get tracks() {
    return this.#connection !== undefined && this.#connection.tracks
  }

  open() {
    const handlers = this.#handlers
    let wasReady = false
    const connection = this.#connect({
      invalidated: (keys) => handlers.invalidated(keys),
      failed: (error) => handlers.failed(error),
      changed: () => {
        wasReady = true
        if (connection.isReady) this.#retry.succeeded()
        handlers.changed()
      },
      lost: (error) => this.#lost(error, wasReady),
    })
    this.#connection = connection
  }

  /** Returns the promise of the library itself: another one in between would cost more. */
  command(args) {
    if (this.#connection === undefined) return Promise.reject(offlineError())
    const reply = this.#connection.command(args)
    // Before any handler of the caller, so that the error is stripped when that sees it.
    reply.catch(this.#noteError)
    return reply
  }

  ping() {
    return this.#connection?.ping() ?? Promise.reject(offlineError())
  }

  reset() {
    if (this.#connection !== undefined) this.#lost(undefined, true)
  }

  end() {
    this.#isEnded = true
    this.#retry.stop()
    this.#connection?.end()
    this.#connection = undefined
  }

  /** @param [error] why, unless it was ended on purpose */
  #lost(error, wasReady) {
    this.#connection?.end()
    this.#connection = undefined
    this.#retry.later(() => this.open())
    if (error !== undefined) this.#handlers.failed(strippedOf(error))
    if (wasReady && !this.#isEnded) this.#handlers.changed()
  }

  #note(error) {
    strippedOf(error)
    // The server is no longer the master. The address may lead to another one by now.
    if (String(error?.message).startsWith('READONLY')) this.reset()
  }
}

module.exports = { Node }
