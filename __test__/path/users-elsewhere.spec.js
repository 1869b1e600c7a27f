'use strict'

/**
 * The sessions of a user in several processes on one path: complete, limited and ended, whoever has
 * written them, and whoever was killed meanwhile. A file of before the option `user`.
 */

const { mkdir, readFile, writeFile } = require('node:fs/promises')
const { join } = require('node:path')
const { promisify } = require('node:util')
const { gunzip } = require('node:zlib')
const test = require('ava')
const FakeTimers = require('@sinonjs/fake-timers')
const session = require('express-session')
const MemoryStore = require('../..')(session)
const { newFolder, randomOf, startChild } = require('../helpers/processes.js')

const PROCESSES = 4
const LOGINS = 1000

const of = (user, more) => ({ cookie: {}, user, ...more })

const times = (count, make) => Array.from({ length: count }, (_, i) => make(i))

function open(t, options) {
  const store = new MemoryStore({ user: 'user', ...options })
  t.teardown(() => store.close())
  return store
}

const startChildren = (t, options) =>
  Promise.all(times(PROCESSES, () => startChild(t, { user: 'user', ...options })))

/** Has each of the processes log the user in, many times. */
const logIn = (children, user, count) =>
  Promise.all(
    children.map((child, n) =>
      child.run('writeMany', { prefix: `${n}-`, count, session: of(user) }),
    ),
  )

test.serial(
  'no login is lost of many at once, and none comes back once ended, whoever is killed then',
  async (t) => {
    const path = await newFolder(t)
    const children = await startChildren(t, { path })
    const store = open(t, { path })
    await logIn(children, 'ann', LOGINS)
    const [ending, ...others] = children
    await Promise.all(others.map((child) => child.kill()))
    t.is((await store.sessionsOf('ann')).length, PROCESSES * LOGINS)

    // These requests have read their sessions before the end.
    const late = times(PROCESSES, (n) => `${n}-7`)
    const read = await Promise.all(late.map((sid) => store.get(sid)))
    t.is(await ending.call('destroyUser', 'ann', { except: '0-0' }), PROCESSES * LOGINS - 1)
    await ending.kill()
    for (const [n, sid] of late.entries()) {
      const writing = store.createSession({ sessionID: sid, sessionStore: store }, read[n])
      writing.n = 1
      await store.set(sid, writing)
    }
    const left = await store.sessionsOf('ann', { current: '0-0' })
    t.deepEqual(
      left.map(({ current }) => current),
      [true],
    )
    t.is(await store.length(), 1)
  },
)

test.serial('a user never has more sessions than the limit, in any look', async (t) => {
  const path = await newFolder(t)
  const children = await startChildren(t, { path, maxPerUser: 3 })
  const store = open(t, { path, maxPerUser: 3 })
  let isOver = false
  const done = logIn(children, 'ann', LOGINS / 4).then(() => (isOver = true))
  let [most, looks] = [0, 0]
  while (!isOver) {
    most = Math.max(most, (await store.sessionsOf('ann')).length)
    looks++
  }
  await done
  t.log(`${looks} looks`)
  t.true(looks > 0)
  t.is(most, 3)
  t.is((await store.sessionsOf('ann')).length, 3)
  t.is(await store.length(), 3)
})

test.serial(
  'sessions and their index agree though writers are killed again and again',
  async (t) => {
    const path = await newFolder(t)
    const random = randomOf(t)
    const store = open(t, { path })
    for (let round = 0; round < 10; round++) {
      const child = await startChild(t, { user: 'user', path })
      child.run('writeMany', { prefix: 'ann-', count: 1e6, session: of('ann'), modulo: 40 })
      child.run('writeMany', { prefix: 'bob-', count: 1e6, session: of('bob'), modulo: 40 })
      const written = 50 + random.below(300)
      for (let n = 0; n < written; n++) {
        const sid = `${n % 2 ? 'ann' : 'bob'}-${random.below(40)}`
        // Whose it is changes between the processes.
        if (n % 3 === 0) await store.destroy(sid)
        else await store.set(sid, of(n % 2 ? 'bob' : 'ann'))
      }
      await child.kill()
      const stored = Object.values(await store.all())
      for (const user of ['ann', 'bob']) {
        const owned = stored.filter((session) => session.user === user)
        t.is((await store.sessionsOf(user)).length, owned.length)
      }
      t.is(store.stats().anonymous, 0)
    }
    const ended = (await store.destroyUser('ann')) + (await store.destroyUser('bob'))
    t.true(ended > 0)
    t.is(await store.length(), 0)
  },
)

test.serial(
  'who finds users in another way is refused while another process is there',
  async (t) => {
    const path = await newFolder(t)
    const child = await startChild(t, { path, user: 'user' })
    for (const user of ['id', undefined]) {
      const error = t.throws(() => new MemoryStore({ path, user }))
      t.is(error.code, 'ERR_MEMORYSTORE_PATH')
      t.true(error.message.includes('`user`'), error.message)
    }
    await child.call('set', 'a', of('ann'))
    const store = open(t, { path })
    t.is((await store.sessionsOf('ann')).length, 1)
  },
)

/**
 * A folder with a file of an earlier format: of 2, before the option `user` on a path, or of 3, which
 * kept every body apart from its head.
 */
async function folderOfBefore(t, format) {
  const path = await newFolder(t)
  await mkdir(path, { mode: 0o700 })
  const packed = await readFile(join(__dirname, `../helpers/format-${format}.mdb.gz`))
  await writeFile(join(path, 'data.mdb'), await promisify(gunzip)(packed), { mode: 0o600 })
  return path
}

/** When the files of earlier formats were made. The sessions in one of them lived for a day. */
const MADE = Date.UTC(2026, 10, 26, 17)

for (const format of [2, 3]) {
  test.serial(`a file of format ${format} is carried over, and nobody is logged out`, async (t) => {
    const clock = FakeTimers.install({ now: MADE, toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    for (const user of [undefined, 'passport.user', (session) => session.passport?.user]) {
      const path = await folderOfBefore(t, format)
      const store = open(t, { path, mapSize: 2 ** 20, user })
      t.deepEqual((await store.ids()).sort(), ['ann-1', 'ann-2', 'bob-1', 'visitor'])
      t.is((await store.get('ann-2')).text, 'x'.repeat(6000))
      t.is(await store.get('ended'), undefined)
      if (typeof user === 'string') {
        t.is((await store.sessionsOf('ann')).length, 2)
        t.is(await store.destroyUser('ann'), 2)
        t.is(store.stats().anonymous, 1)
      } else if (user) {
        // A function is asked when a session is written.
        t.is((await store.sessionsOf('ann')).length, 0)
        await store.set('ann-1', await store.get('ann-1'))
        t.is((await store.sessionsOf('ann')).length, 1)
      }
    }
  })
}

test.serial('sessions of before the option are indexed first, a few in each turn', async (t) => {
  const path = await newFolder(t)
  const before = new MemoryStore({ path })
  for (let n = 0; n < 3000; n++) await before.set(`${n}`, of(n % 3 ? 'ann' : 'bob'))
  await before.close()
  for (const [method, countOf, expected] of [
    ['sessionsOf', (list) => list.length, 2000],
    ['destroyUser', (count) => count, 2001],
  ]) {
    const store = open(t, { path })
    const answers = []
    let turns = 0
    let isTurning = true
    const turn = () => isTurning && setImmediate(turn, turns++)
    for (const name of ['indexSome', method]) {
      const own = store.store[name]
      store.store[name] = (...args) => {
        const answer = own.apply(store.store, args)
        answers.push([name, answer, turns])
        return answer
      }
    }
    turn()
    const result = await store[method]('ann')
    isTurning = false
    t.is(countOf(result), expected)
    const asked = answers.filter(([name]) => name === 'indexSome')
    // Only then is there an answer that is complete.
    t.is(asked.at(-1)[1], false)
    t.true(answers.findIndex(([name]) => name === method) >= asked.length)
    // The last one only finds that all are indexed.
    const slices = asked.slice(0, -1)
    t.is(new Set(slices.map(([, , at]) => at)).size, slices.length, 'one slice a turn')
    await store.close()
    // Without the option again, the index is no longer kept.
    const without = new MemoryStore({ path })
    await without.set('later', of('ann'))
    await without.close()
  }
})
