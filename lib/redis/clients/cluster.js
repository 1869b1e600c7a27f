'use strict'

/**
 * A link to the masters of a cluster.
 *
 * The clusters of the libraries send commands again after a connection was lost, and connect and
 * reconnect at times of their own. This one takes only their connections to single servers.
 */

const { offlineError, strippedOf } = require('./errors.js')
const { Member } = require('./member.js')
const { Retry } = require('./retry.js')
const { slotOf } = require('./slot.js')
const { pause, within } = require('./time.js')
const { addressOf, keyOf, topologyOf } = require('./topology.js')

/** With what a server sends a command elsewhere, or to another time. */
const REDIRECTS = ['MOVED', 'ASK', 'TRYAGAIN']

/** How often a command is sent on to another server, or again to one that says to try again. */
const MAX_REDIRECTIONS = 16

/** How long a server that says so is left alone, in milliseconds. */
const TRY_AGAIN = 50

/** How long a server may take to tell the topology, in milliseconds. */
const TOPOLOGY_TIMEOUT = 2000

class ClusterLink {
  isSingle = false
  isCluster = true
  #library
  #handlers
  /** The servers by the key of their address. Some are no masters: seeds, and importing ones. */
  #members = new Map()
  /** Undefined until it is known. */
  #topology
  #wantsTopology = true
  #isRefreshing = false
  #retry = new Retry()
  #isClosed = false

  /**
   * @param library `isOrdered`; `keyPrefix`; `seeds()` resolves to some addresses of the cluster;
   *   `mapped(address)`; `connect(address, handlers)` as in `Node`
   * @param handlers `invalidated(keys)`, `changed()` and `failed(error)`
   */
  constructor(library, handlers) {
    this.isOrdered = library.isOrdered
    this.keyPrefix = library.keyPrefix
    this.#library = library
    this.#handlers = handlers
  }

  /** As soon as one master is: commands for the others fail, and do not wait. */
  get isReady() {
    const masters = this.#masters()
    return masters.some((master) => master.isReady) && masters.every((master) => master.isSettled)
  }

  get tracks() {
    const ready = [...this.#members.values()].filter((member) => member.isReady)
    return ready.length > 0 && ready.every((member) => member.tracks)
  }

  connect() {
    this.#refresh()
  }

  command(key, args) {
    const slot = slotOf(key)
    const member = this.#masterOf(slot)
    if (member === undefined) return Promise.reject(offlineError())
    return member.command(args).catch((err) => this.#redirect(err, { slot, member, args }, 1))
  }

  /** A master without a connection carries no tracked reads. */
  async ping() {
    const ready = [...this.#members.values()].filter((member) => member.isReady)
    if (ready.length === 0) throw offlineError()
    await Promise.all(ready.map((member) => member.ping()))
  }

  nodes() {
    return this.#masters()
  }

  /** Only the connections that do not answer, if it is known which ones. */
  reset() {
    const members = [...this.#members.values()]
    const silent = members.filter((member) => member.isSilent)
    for (const member of silent.length > 0 ? silent : members) member.reset()
    this.#wantTopology()
  }

  close() {
    this.#isClosed = true
    this.#retry.stop()
    for (const member of this.#members.values()) member.end()
    this.#members.clear()
    this.#topology = undefined
  }

  #masters() {
    if (this.#topology === undefined) return []
    return [...this.#topology.masters.keys()].map((key) => this.#members.get(key))
  }

  #masterOf(slot) {
    return this.#members.get(this.#topology?.slots[slot])
  }

  /** What becomes of a command that failed. A server that redirects it did nothing. */
  async #redirect(error, command, count) {
    const [code, , address] = String(error?.message).split(' ')
    if (code === 'MOVED' || code === 'CLUSTERDOWN') this.#wantTopology()
    if (!REDIRECTS.includes(code) || count > MAX_REDIRECTIONS || this.#isClosed) throw error
    try {
      return await this.#sendOn(code, address, command)
    } catch (err) {
      return this.#redirect(err, command, count + 1)
    }
  }

  async #sendOn(code, address, command) {
    if (code === 'TRYAGAIN') {
      await pause(TRY_AGAIN)
      const member = this.#masterOf(command.slot) ?? command.member
      return member.command(command.args)
    }
    const from = command.member.address
    const member = this.#memberAt(this.#library.mapped(addressOf(address, from)))
    // Also where it turns out to be a master only with the next topology.
    member.wasAsked = true
    command.member = member
    await member.whenReady()
    if (code === 'ASK') member.command(['ASKING']).catch(() => {})
    return member.command(command.args)
  }

  #wantTopology() {
    this.#wantsTopology = true
    this.#retry.later(() => this.#refresh())
  }

  async #refresh() {
    if (this.#isRefreshing || this.#isClosed) return
    this.#isRefreshing = true
    this.#wantsTopology = false
    const topology = await this.#ask()
    if (topology === undefined) await this.#seed()
    this.#isRefreshing = false
    if (this.#isClosed) return
    if (topology !== undefined) this.#apply(topology)
    if (topology === undefined || this.#wantsTopology) this.#wantTopology()
  }

  /** Asks one server after the other, first those that a slot has moved to: they know of it. */
  async #ask() {
    const ready = [...this.#members.values()].filter((member) => member.isReady)
    for (const member of ready.sort((a, b) => b.wasAsked - a.wasAsked)) {
      try {
        const reply = await within(TOPOLOGY_TIMEOUT, member.command(['CLUSTER', 'SLOTS']))
        const topology = topologyOf(reply, member.address, this.#library.mapped)
        if (topology !== undefined) return topology
      } catch (err) {
        this.#fail(err)
      }
    }
    return undefined
  }

  /** If no server answers: connects to those that the user named. */
  async #seed() {
    try {
      const seeds = await this.#library.seeds()
      if (!this.#isClosed) for (const address of seeds) this.#memberAt(address)
    } catch (err) {
      this.#fail(err)
    }
  }

  #apply(topology) {
    this.#retry.stop()
    this.#retry.succeeded()
    const isOther = topology.text !== this.#topology?.text
    this.#topology = topology
    for (const address of topology.masters.values()) this.#memberAt(address)
    for (const [key, member] of this.#members) {
      if (topology.masters.has(key) || member.wasAsked) continue
      this.#members.delete(key)
      member.end()
    }
    for (const member of this.#members.values()) member.wasAsked = false
    if (isOther) this.#handlers.changed()
  }

  #memberAt(address) {
    const key = keyOf(address)
    let member = this.#members.get(key)
    if (member === undefined) {
      member = this.#join(address)
      this.#members.set(key, member)
    }
    return member
  }

  #join(address) {
    const connect = (events) => this.#library.connect(address, events)
    return new Member(address, connect, {
      invalidated: (keys) => this.#handlers.invalidated(keys),
      changed: () => {
        if (this.#wantsTopology) this.#refresh()
        this.#handlers.changed()
      },
      failed: (error) => {
        this.#wantTopology()
        this.#handlers.failed(error)
      },
    })
  }

  #fail(error) {
    if (!this.#isClosed) this.#handlers.failed(strippedOf(error))
  }
}

module.exports = { ClusterLink }
