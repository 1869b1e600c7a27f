'use strict'

/**
 * The records of a store that knows whose its sessions are, or how long they may live: writes and
 * removes them, and keeps the index.
 *
 * Where all keys are on one server, one script does it in one step. In a cluster the set of a user
 * is on another server than most of the sessions. There a session is listed before it is written,
 * and what has ended stays listed for a while, so that no session is ever unlisted; what is listed
 * without being the user's session is left out by whoever reads the list.
 */

const { userFullError } = require('../errors.js')
const { monotonic } = require('../remote/clock.js')
const { TOMBSTONE } = require('../remote/rules.js')
const { hashOf } = require('../users.js')
const { EXPIRED, argumentsOfWrite, asArgument, flag, leftOf, pxOf } = require('./arguments.js')

/** How many sessions of a user are looked at at once. */
const AT_ONCE = 200

/** How many members of a set a step of ZSCAN looks at. */
const MEMBERS_A_STEP = '500'

/** What a script tells of a session that it has written. */
const [HAD_TOMBSTONE, IS_NEW_TO_USER] = [1, 2]

/**
 * What the index is to know of a session.
 *
 * @typedef {object} Mark
 * @property {string | undefined} user whose it is
 * @property {number} lifetime for how long it may live from its creation
 * @property {number} most how many sessions the user may have, `Infinity` if any number
 * @property {boolean} isRefusing whether one more is refused, and none ended
 * @property {boolean} wantsEnded whether the bodies of those that are ended are asked for
 */

/**
 * What was written: for how long it `life`s, and the sids and bodies of what was `ended` for it.
 *
 * @typedef {{isDone: true, life: number, ended: [string, string | Buffer][]}} Done
 */

class IndexedRecords {
  #connection
  #names
  #form
  #change
  #forget

  /**
   * @param {object} parts those of RedisRecords
   * @param parts.change sends a write: `change(sid, send, body, life)`
   * @param parts.forget drops the copy of a session
   */
  constructor({ connection, names, form, change, forget }) {
    this.#connection = connection
    this.#names = names
    this.#form = form
    this.#change = change
    this.#forget = forget
  }

  /** As RedisRecords.create; what it returns is a Done too, if it was written. */
  async create(sid, body, life, { isFinal, wantsOld }, mark) {
    // Otherwise it is sent at once, before the calls that come after it.
    const listedAt = this.#isListed(life, mark) ? await this.#prepare(sid, life, mark) : undefined
    const keys = this.#keysOf(sid, mark)
    const send = () => {
      const age = listedAt === undefined ? '' : (monotonic() - listedAt).toFixed(3)
      const args = [asArgument(body), pxOf(life), flag(isFinal), flag(wantsOld), age]
      args.push(...this.#argumentsOf(sid, mark))
      return this.#connection.run('createIndexed', keys, args)
    }
    const reply = await this.#change(sid, send, body, life)
    if (reply === 0) return { isWritten: false, old: undefined }
    const done = await this.#finish(reply, sid, life, mark)
    return { isWritten: true, old: this.#bodyOf(reply[2]), ...done }
  }

  /** As RedisRecords.write, but returns a Done if it was written. */
  async write(sid, expected, body, life, how, mark) {
    if (this.#isListed(life, mark)) await this.#prepare(sid, life, mark)
    const now = monotonic()
    const args = argumentsOfWrite(expected, body, life, how, now)
    args.push(...this.#argumentsOf(sid, mark))
    const send = () => this.#connection.run('writeIndexed', this.#keysOf(sid, mark), args)
    const reply = await this.#change(sid, send, body, life)
    if (reply === 0) return false
    if (Array.isArray(reply) && !isDone(reply)) return this.#form.copyOf(reply, now)
    return this.#finish(reply, sid, life, mark)
  }

  /** As RedisRecords.renew, but returns a Done if the expiry was moved. */
  async renew(sid, expected, life, { isForced }, mark) {
    if (this.#isListed(life, mark)) await this.#list(sid, life, mark)
    const now = monotonic()
    const left = isForced ? '' : leftOf(expected, now)
    const args = [asArgument(expected.body), pxOf(life), left, ...this.#argumentsOf(sid, mark)]
    const keys = [this.#names.key(sid), this.#names.entry(sid), ...this.#setsOf(mark)]
    const send = () => this.#connection.run('renewIndexed', keys, args)
    const reply = await this.#change(sid, send, expected.body, life)
    if (isDone(reply)) return { isDone: true, life: lifeOf(reply[1]), ended: [] }
    return typeof reply === 'number' ? reply !== 0 : this.#form.copyOf(reply, now)
  }

  /** See RedisRecords.end. */
  async end(sid, wantsOld, user) {
    const keys = this.#keysOf(sid)
    const owner = user === undefined ? '' : hashOf(user)
    const args = [String(TOMBSTONE), flag(wantsOld), owner, sid, ...this.#prefix]
    const send = () => this.#connection.run('destroyIndexed', keys, args)
    const [found, was, old] = await this.#change(sid, send)
    if (!this.#isOneStep && String(was) !== '') await this.#unlist(sid, String(was))
    return { isFound: found === 1, old: this.#bodyOf(old) }
  }

  /** See RedisRecords.membersOf. Very many come in steps. */
  async membersOf(user) {
    const set = this.#names.set(hashOf(user))
    const members = new Set()
    let cursor = '0'
    do {
      const step = ['ZSCAN', set, cursor, 'COUNT', MEMBERS_A_STEP]
      const [next, found] = await this.#connection.send(set, step)
      cursor = String(next)
      // Each is followed by its score.
      for (let i = 0; i < found.length; i += 2) members.add(String(found[i]))
    } while (cursor !== '0')
    members.delete(this.#names.sid(set))
    return [...members]
  }

  /** See RedisRecords.describe. */
  async describe(sid) {
    const readAt = monotonic()
    const reply = await this.#describe(sid)
    const copy = this.#form.copyOf(reply, readAt)
    if (copy === undefined || reply.length === 2) return copy
    const [, , created, used, at] = reply
    const now = Date.now()
    const moment = (then) => now - Math.max(0, at - then)
    return { ...copy, created: moment(created), used: moment(used) }
  }

  #describe(sid) {
    return this.#connection.run('describe', [this.#names.key(sid), this.#names.entry(sid)], [])
  }

  /** Whether the sets of the users are where the sessions are. */
  get #isOneStep() {
    return !this.#connection.isCluster || this.#names.isOneSlot
  }

  /** What the keys begin with, for scripts that make names of keys: their last argument. */
  get #prefix() {
    return this.#isOneStep ? [this.#names.key('')] : []
  }

  #keysOf(sid, mark) {
    const names = this.#names
    return [names.key(sid), names.tombstone(sid), names.entry(sid), ...this.#setsOf(mark)]
  }

  /** The set of the user, if a script may use it. */
  #setsOf(mark) {
    return this.#isOneStep && mark?.user !== undefined ? [this.#names.set(hashOf(mark.user))] : []
  }

  #argumentsOf(sid, { user, lifetime, most, isRefusing, wantsEnded }) {
    return [
      sid,
      user === undefined ? '' : hashOf(user),
      lifetime === Infinity ? '' : String(Math.ceil(Math.max(0, lifetime))),
      most === Infinity ? '' : String(mostOf(most)),
      flag(isRefusing),
      String(TOMBSTONE),
      flag(wantsEnded),
      ...this.#prefix,
    ]
  }

  /** Whether a session is to be listed before it is written. */
  #isListed(life, { user }) {
    return !this.#isOneStep && user !== undefined && pxOf(life) !== EXPIRED
  }

  /** Does what has to be done before. Returns when the session was listed. */
  async #prepare(sid, life, mark) {
    if (mark.isRefusing && mark.most !== Infinity) await this.#assertRoom(sid, mark)
    return this.#list(sid, life, mark)
  }

  /** Lists a session. Returns when it was begun. */
  async #list(sid, life, { user }) {
    const listedAt = monotonic()
    const set = this.#names.set(hashOf(user))
    await this.#connection.run('list', [set], [this.#names.sid(set), sid, pxOf(life)])
    return listedAt
  }

  async #unlist(sid, owner) {
    try {
      await this.#connection.run('unlist', [this.#names.set(owner)], [sid])
    } catch {
      // It has ended, and is listed for nothing.
    }
  }

  /** What is to be done after a write: a Done. */
  async #finish(reply, sid, life, mark) {
    if (reply === -1) throw userFullError()
    const [, left, , facts, ...ended] = reply
    const done = { isDone: true, life: lifeOf(left), ended: [] }
    for (let i = 0; i < ended.length; i += 2) {
      const other = String(ended[i])
      this.#forget(other)
      done.ended.push([other, this.#bodyOf(ended[i + 1])])
    }
    if (this.#isOneStep || mark.user === undefined) return done
    // What has destroyed the session before may have unlisted it only now.
    if (facts & HAD_TOMBSTONE) await this.#list(sid, life, mark)
    if (facts & IS_NEW_TO_USER && mark.most !== Infinity) done.ended = await this.#limit(sid, mark)
    return done
  }

  /** The sessions of a user, the one used longest ago first: their sids and when they were used. */
  async #sessionsOf(user) {
    const owner = hashOf(user)
    const members = await this.membersOf(user)
    const sessions = []
    for (let i = 0; i < members.length; i += AT_ONCE) {
      const some = members.slice(i, i + AT_ONCE)
      const replies = await Promise.all(some.map((sid) => this.#describe(sid)))
      for (const [j, reply] of replies.entries()) {
        if (reply?.length > 2 && String(reply[5]) === owner) {
          sessions.push({ sid: some[j], used: reply[3] })
        }
      }
    }
    return sessions.sort((a, b) => a.used - b.used || (a.sid < b.sid ? -1 : 1))
  }

  /** @throws ERR_MEMORYSTORE_USER_FULL if the user has no room for a session that is not his yet */
  async #assertRoom(sid, { user, most }) {
    const sessions = await this.#sessionsOf(user)
    if (sessions.length < mostOf(most) || sessions.some((one) => one.sid === sid)) return
    throw userFullError()
  }

  /**
   * In several steps, others may have been written meanwhile. All who write look at what there is
   * then, and agree on the order; so those are ended that were used before this one, or this one is
   * refused if too many were.
   */
  async #limit(sid, mark) {
    const sessions = await this.#sessionsOf(mark.user)
    const own = sessions.findIndex((one) => one.sid === sid)
    const surplus = sessions.length - mostOf(mark.most)
    if (own === -1 || surplus <= 0) return []
    if (mark.isRefusing) {
      if (own < mostOf(mark.most)) return []
      await this.end(sid, false)
      throw userFullError()
    }
    const ended = []
    for (const other of sessions.slice(0, Math.min(surplus, own))) {
      const { old } = await this.end(other.sid, mark.wantsEnded, mark.user)
      ended.push([other.sid, old])
    }
    return ended
  }

  /** A body in a reply; undefined if it is empty, because there was none or nobody asked. */
  #bodyOf(body) {
    return body.length === 0 ? undefined : this.#form.read(body)
  }
}

/** Whether a script's reply is that of a write that was done. */
function isDone(reply) {
  return Array.isArray(reply) && reply[0] === 1
}

/** A lifetime as scripts give it. */
function lifeOf(left) {
  return left < 0 ? Infinity : Number(left)
}

/** The one that is written stays in any case. */
function mostOf(most) {
  return Math.max(1, Math.floor(most))
}

module.exports = { IndexedRecords, isDone, lifeOf }
