'use strict'

/**
 * Proves that the server tells of changes: proxies, restricted accounts and unknown versions of the
 * client libraries may swallow invalidations without an error.
 */

const { randomBytes } = require('node:crypto')
const { setTimeout } = require('../real.js')

/** A key is on one node of a cluster. After so many tries, a node that never has it has no keys. */
const MOST_TRIES = 500

/** After so many tries that were all in one slot, all keys are. */
const SAME_SLOT = 5

/**
 * After so many changes that were not told, the server does not tell. One may be missed: FLUSHALL,
 * in the middle of a probe, makes the server forget who has read it.
 */
const MOST_UNTOLD = 3

/** How long the server keeps a probe, in milliseconds. */
const LIFETIME = 1000

class Probe {
  /** What is waited for: for each key, what to call. */
  #waiting = new Map()
  #timeout

  /** @param timeout after which what was not told is taken for lost, in milliseconds */
  constructor(timeout) {
    this.#timeout = timeout
  }

  /**
   * Whether each node of `link` tells of a change. `nameOf` makes a key of some text.
   *
   * Rejects where a node does not answer: then it is not known.
   */
  async proves(link, nameOf) {
    const proofs = await Promise.all(
      link.nodes().map((node) => this.#provesNode(link, node, nameOf)),
    )
    return proofs.every(Boolean)
  }

  /** Takes what the server tells of. Returns whether it was of a probe. */
  take(key) {
    const resolve = this.#waiting.get(key)
    if (resolve === undefined) return false
    this.#waiting.delete(key)
    resolve()
    return true
  }

  async #provesNode(link, node, nameOf) {
    let untold = 0
    const elsewhere = new Set()
    for (let i = 0; i < MOST_TRIES && untold < MOST_UNTOLD; i++) {
      // Keys whose prefix has a hash tag are all in one slot, which another node has.
      if (i === SAME_SLOT && elsewhere.size === 1) break
      try {
        const key = nameOf(`probe-${randomBytes(8).toString('hex')}`)
        if (await this.#isTold(link, node, key)) return true
        untold++
      } catch (err) {
        if (!/^(MOVED|ASK)\b/.test(err.message)) throw err
        elsewhere.add(err.message.split(' ')[1])
      }
    }
    return untold === 0
  }

  async #isTold(link, node, key) {
    let isTold = false
    const told = new Promise((resolve) => {
      this.#waiting.set(key, () => {
        isTold = true
        resolve()
      })
    })
    try {
      await node.command(['GET', key])
      // JSON, because connect-redis parses all values under its prefix.
      await node.command(['SET', key, '{}', 'PX', String(LIFETIME)])
      node.command(['UNLINK', key]).catch(() => {})
      await Promise.race([told, this.#pause()])
      // Unless the network is slow: what was told arrives before the answer.
      if (!isTold) await link.ping()
      return isTold
    } finally {
      this.#waiting.delete(key)
    }
  }

  #pause() {
    return new Promise((resolve) => setTimeout(resolve, this.#timeout).unref())
  }
}

module.exports = { Probe }
