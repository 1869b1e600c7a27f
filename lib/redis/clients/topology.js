'use strict'

/** Which master serves which slots of a cluster, and how addresses are written. */

const { SLOTS } = require('./slot.js')

module.exports = { addressOf, keyOf, topologyOf }

/**
 * Reads the reply to CLUSTER SLOTS.
 *
 * @param from the address of the server that answered: it may leave out its own host
 * @param mapped the address as this process has to use it, of one as the servers tell it
 * @returns undefined if nobody serves anything. Otherwise `masters`, their addresses by key;
 *   `slots`, the key of the master of each slot; and `text`, which differs for another topology
 */
function topologyOf(reply, from, mapped) {
  const masters = new Map()
  const slots = new Array(SLOTS)
  const ranges = []
  for (const [first, last, [host, port]] of reply) {
    const address = mapped({ host: String(host ?? '') || from.host, port: Number(port) })
    const key = keyOf(address)
    masters.set(key, address)
    slots.fill(key, first, last + 1)
    ranges.push(`${first}-${last} ${key}`)
  }
  return masters.size === 0 ? undefined : { masters, slots, text: ranges.sort().join() }
}

function keyOf({ host, port }) {
  return `${host}:${port}`
}

/** The address in an error like `MOVED 3999 127.0.0.1:6381`; the host may be left out. */
function addressOf(text, from) {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon) || from.host, port: Number(text.slice(colon + 1)) }
}
