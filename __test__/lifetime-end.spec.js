'use strict'

// The end of a session's `lifetime`, in stores that count it by the clock of this process: what a
// request writes that began before it.

const test = require('ava')
const { Session } = require('express-session')
const { HOUR, MINUTE, WAYS, YEAR, cookieOf, request, withClock } = require('./helpers/lifetimes')
const { MemoryStore } = require('./helpers/stores')

test.serial('the lifetime depends on the session as it is after a merge', async (t) => {
  withClock(t)
  const store = new MemoryStore({ lifetime: (options, { remember }) => (remember ? YEAR : HOUR) })
  await store.set('sid', { cookie: cookieOf(YEAR) })
  const [page, login] = [await store.get('sid'), await store.get('sid')].map((read) =>
    request(store, 'sid', read),
  )
  login.remember = true
  await store.set('sid', login)
  page.n = 1
  await store.set('sid', page)
  t.deepEqual((await store.info('sid')).expires, new Date(1e12 + YEAR))
})

test.serial(
  'a clock that was set back lengthens no life, however often the session is touched',
  async (t) => {
    const clock = withClock(t)
    const store = new MemoryStore({ lifetime: HOUR })
    await store.set('sid', { cookie: cookieOf(YEAR) })
    clock.setSystemTime(1e12 - 24 * HOUR)
    for (let n = 0; n < 6; n++) {
      await store.touch('sid', { cookie: cookieOf(YEAR) })
      const { created, used, expires } = await store.info('sid')
      t.deepEqual([created, expires], [new Date(1e12 - 24 * HOUR), new Date(1e12 - 23 * HOUR)])
      t.deepEqual(used, new Date())
      clock.tick(10 * MINUTE)
    }
    clock.tick(1)
    t.is(await store.get('sid'), undefined)
  },
)

for (const [way, options] of Object.entries(WAYS)) {
  for (const isPruned of [false, true]) {
    test.serial(
      `a request that outlives it writes nothing; ${way}; pruned: ${isPruned}`,
      async (t) => {
        const clock = withClock(t)
        const store = new MemoryStore({ destroyed: 'forgotten', ...options })
        await store.set('sid', { cookie: cookieOf(YEAR), user: 'ann' })
        clock.tick(HOUR)
        const slow = request(store, 'sid', await store.get('sid'))
        // express-session saves a new session twice if its request goes on.
        const fresh = new Session(
          { sessionID: 'new', sessionStore: store },
          { cookie: cookieOf(YEAR) },
        )
        await store.set('new', fresh)
        clock.tick(2 * HOUR + 1)
        if (isPruned) await store.prune()
        for (const [sid, session] of Object.entries({ sid: slow, new: fresh })) {
          session.n = 1
          await store.set(sid, session)
          t.is(await store.get(sid), undefined)
          t.is(await store.info(sid), undefined)
        }
        t.is(store.stats().refusedWrites, 2)
        await store.close()
      },
    )
  }
}

test.serial(
  'a request that outlives it keeps the changes if the session has a new user',
  async (t) => {
    const clock = withClock(t)
    const store = new MemoryStore({ lifetime: HOUR, user: 'user' })
    await store.set('sid', { cookie: cookieOf(YEAR) })
    const [slow, login] = [await store.get('sid'), await store.get('sid')].map((read) =>
      request(store, 'sid', read),
    )
    clock.tick(HOUR / 2)
    login.user = 'ann'
    await store.set('sid', login)
    clock.tick(HOUR / 2 + 1)
    slow.n = 1
    await store.set('sid', slow)
    const { user, n } = await store.get('sid')
    t.deepEqual([user, n], ['ann', 1])
  },
)
