'use strict'

// A user with very many sessions: however many they are, the store is asked about a few in each
// turn of the event loop when they are listed or ended.

// Captured before any fake timers are installed.
const { setImmediate } = require('node:timers')
const test = require('ava')

const { Users } = require('../lib/remote/users.js')
const { newFolder } = require('./helpers/processes.js')
const { MemoryStore } = require('./helpers/stores.js')
const { turnCounter } = require('./helpers/turn-counter.js')

const SESSIONS = 2000
const SIDS = Array.from({ length: SESSIONS }, (_, i) => `sid-${i}`)

/** The most that are listed, or ended, in one turn. */
const [LISTED, ENDED] = [100, 250]

/** How many values a native store gives of each session that it lists. */
const VALUES = 7

const session = { cookie: {}, user: 'ann' }

/** Notes with `note(result, args)` what the store's native function `name` does. */
function observe(store, name, note) {
  const own = store.store[name]
  store.store[name] = (...args) => {
    const result = own.apply(store.store, args)
    note(result, args)
    return result
  }
}

for (const where of ['in memory', 'on a path']) {
  test(`sessions of a user are listed and ended a few in each turn, ${where}`, async (t) => {
    const path = where === 'on a path' ? await newFolder(t) : undefined
    const store = new MemoryStore({ path, user: 'user' })
    t.teardown(() => store.close())
    for (const sid of SIDS) await store.set(sid, session)
    const [listed, ended] = [turnCounter(t), turnCounter(t)]
    observe(store, 'sessionsOf', (_result, [values]) => listed.add(values.length / VALUES))
    observe(store, 'destroyUser', (count) => ended.add(count))

    t.is((await store.sessionsOf('ann')).length, SESSIONS)
    t.true(listed.most() > 0 && listed.most() <= LISTED, `${listed.most()}`)
    t.is(await store.destroyUser('ann', { except: 'sid-7' }), SESSIONS - 1)
    t.true(ended.most() > 0 && ended.most() <= ENDED, `${ended.most()}`)
  })
}

test('few are asked for at once where answers come later', async (t) => {
  let [waiting, most] = [0, 0]
  const later = async (answer) => {
    most = Math.max(most, ++waiting)
    await new Promise((resolve) => setImmediate(resolve))
    waiting--
    return answer
  }
  const copy = { body: JSON.stringify(session), created: 1, used: 1, expiresAt: Infinity }
  const records = {
    membersOf: async () => SIDS,
    describe: () => later(copy),
    end: () => later({ isFound: true }),
  }
  const state = {
    options: { ttl: 60_000 },
    assertOpen() {},
    ownerOf: ({ user }) => user,
    watches: { ended() {} },
  }
  const deadlines = { run: (_method, work) => work() }
  const users = new Users({ state, records, deadlines })
  t.is((await users.sessionsOf('ann', undefined, JSON)).length, SESSIONS)
  t.true(most > 1 && most <= LISTED, `${most}`)
  most = 0
  t.is(await users.destroyUser('ann', { except: 'sid-7' }), SESSIONS - 1)
  t.true(most > 1 && most <= LISTED, `${most}`)
})
