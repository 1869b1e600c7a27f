'use strict'

/** A link to one server, or to the master that sentinels name. */

const { Node } = require('./node.js')

class SingleLink {
  isCluster = false
  #node
  #nodes

  /**
   * @param library `isOrdered`, `isSingle`, `keyPrefix` and `connect(handlers)`; see `Node`
   * @param handlers `invalidated(keys)`, `changed()` and `failed(error)`
   */
  constructor({ isOrdered, isSingle, keyPrefix, connect }, handlers) {
    this.isOrdered = isOrdered
    this.isSingle = isSingle
    this.keyPrefix = keyPrefix
    this.#node = new Node(connect, handlers)
    this.#nodes = [{ command: (args) => this.#node.command(args) }]
  }

  get isReady() {
    return this.#node.isReady
  }

  get tracks() {
    return this.#node.tracks
  }

  connect() {
    this.#node.open()
  }

  command(_key, args) {
    return this.#node.command(args)
  }

  ping() {
    return this.#node.ping()
  }

  nodes() {
    return this.#nodes
  }

  reset() {
    this.#node.reset()
  }

  close() {
    this.#node.end()
  }
}

module.exports = { SingleLink }
