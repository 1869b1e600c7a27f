'use strict'

/**
 * Proves that the server tells of changes: proxies, restricted accounts and unknown versions of the
 * client libraries may swallow invalidations without an error.
 */

const { randomBytes } = require('node:crypto')
const { setTimeout, clearTimeout } = require('node:timers')

/** A key is on one node of a cluster. After so many tries, a node that never has it has no keys. */
const MOST_TRIES = 500

/** How long the server keeps a probe, in milliseconds. */
const LIFETIME = 1000

class Probe {
  /** What is waited for: for each key, what to call. */
  #waiting = new Map()
  #timeout

  /** @param timeout in milliseconds */
  constructor(timeout) {
    this.#timeout = timeout
  }

  /** Whether each of `nodes` tells of a change. `nameOf` makes a key of some text. */
  async proves(nodes, nameOf) {
    const proofs = await Promise.all(nodes.map((node) => this.#provesNode(node, nameOf)))
    return proofs.every(Boolean)
  }

  /** Takes what the server tells of. Returns whether it was of a probe. */
  take(key) {
    const resolve = this.#waiting.get(key)
    if (resolve === undefined) return false
    this.#waiting.delete(key)
    resolve(true)
    return true
  }

  async #provesNode(node, nameOf) {
    for (let i = 0; i < MOST_TRIES; i++) {
      const key = nameOf(`probe-${randomBytes(8).toString('hex')}`)
      try {
        await node.command(['GET', key])
      } catch (err) {
        if (/^(MOVED|ASK)\b/.test(err.message)) continue
        return false
      }
      return this.#isTold(key, node)
    }
    return true
  }

  #isTold(key, node) {
    const told = new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#timeout, false)
      timer.unref()
      this.#waiting.set(key, () => {
        clearTimeout(timer)
        resolve(true)
      })
    })
    // JSON, because connect-redis parses all values under its prefix.
    node.command(['SET', key, '{}', 'PX', String(LIFETIME)]).catch(() => {})
    return told.finally(() => {
      this.#waiting.delete(key)
      node.command(['UNLINK', key]).catch(() => {})
    })
  }
}

module.exports = { Probe }
