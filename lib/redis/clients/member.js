'use strict'

/** One server of a cluster. */

const { offlineError } = require('./errors.js')
const { Node } = require('./node.js')

class Member {
  /** Whether it has been connected, or could not be. */
  isSettled = false
  /** Whether a slot that moves was asked for here, since this was last set to false. */
  wasAsked = false
  #node
  /** How many pings have no answer. */
  #pings = 0
  #waiting = []

  /**
   * @param address `{ host, port }`
   * @param connect see `Node`
   * @param handlers those of `Node`
   */
  constructor(address, connect, handlers) {
    this.address = address
    this.#node = new Node(connect, {
      invalidated: (keys) => handlers.invalidated(keys),
      changed: () => {
        this.#settle()
        handlers.changed()
      },
      failed: (error) => {
        this.#settle()
        handlers.failed(error)
      },
    })
    this.#node.open()
  }

  get isReady() {
    return this.#node.isReady
  }

  get tracks() {
    return this.#node.tracks
  }

  get isSilent() {
    return this.#pings > 0
  }

  command(args) {
    return this.#node.command(args)
  }

  async ping() {
    this.#pings++
    try {
      await this.#node.ping()
    } finally {
      this.#pings--
    }
  }

  /** Resolves when it is connected; rejects if it cannot be now. */
  whenReady() {
    if (this.isReady) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
  }

  reset() {
    this.#node.reset()
  }

  end() {
    this.#node.end()
    this.#settle()
  }

  #settle() {
    this.isSettled = true
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (this.isReady) resolve()
      else reject(offlineError())
    }
  }
}

module.exports = { Member }
