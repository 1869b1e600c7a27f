'use strict'

/**
 * Stores on one path in several processes, which are started, killed and replaced as they are in
 * production. What there is about it without Node.js is tested in src/engine/shared/tests.
 *
 * The tests run one after the other: each starts as many processes as the machine can bear.
 */

const { fork } = require('node:child_process')
const { on, once } = require('node:events')
const { request } = require('node:http')
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const test = require('ava')
const session = require('express-session')
const MemoryStore = require('..')(session)
const { createClient } = require('./helpers/http.js')
const { BOARD, isWhole } = require('./helpers/ledger.js')
const { succeed } = require('./helpers/process.js')
const {
  deadReaders,
  newFolder,
  randomOf,
  startChild,
  startWriter,
} = require('./helpers/processes.js')
const { until, watchWarnings } = require('./helpers/stores.js')

const LINUX = process.platform === 'linux'
const HOUR = 3600_000
const COOKIE = { originalMaxAge: HOUR, path: '/' }

/** Longer than any operation takes, however busy the machine; a store that hangs does for ever. */
const HANGS = 5 * 60_000

const times = (count, make) => Array.from({ length: count }, (_, i) => make(i))

function open(t, options) {
  const store = new MemoryStore(options)
  t.teardown(() => store.close())
  return store
}

/** A cluster of four workers; see helpers/app.js. `told` waits for what the primary tells. */
async function startCluster(t, env = {}) {
  const path = await newFolder(t)
  const primary = fork(join(__dirname, 'helpers/app.js'), [], {
    env: { ...process.env, SESSIONS_PATH: path, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const ended = once(primary, 'exit')
  t.teardown(async () => {
    primary.disconnect()
    await ended
  })
  // Kept until they are waited for.
  const messages = on(primary, 'message', { close: ['disconnect'] })
  const told = async (what) => {
    for (;;) {
      const { value, done } = await messages.next()
      if (done) throw new Error('the cluster has ended')
      if (what in value[0]) return value[0]
    }
  }
  const { port, pids } = await told('port')
  return {
    path,
    url: `http://127.0.0.1:${port}`,
    pids,
    told,
    roll: () => primary.send('roll'),
  }
}

/** Requests until each of the workers has answered; returns what they answered, by process. */
async function askEach(pids, ask) {
  const answers = new Map()
  await until(async () => {
    const { headers, body } = await ask()
    answers.set(Number(headers.get('x-pid')), body)
    return pids.every((pid) => answers.has(pid))
  })
  return answers
}

async function login(client, name) {
  const { status } = await client.post(`/login/${name}`)
  if (status !== 200) throw new Error(`the login of ${name} failed with ${status}`)
}

/**
 * Begins at least `count` requests, of which each of the processes `pids` answers one. They have
 * read their session when this resolves; number n sets `slow${n}` in it when it is released.
 */
async function startSlowInEach(pids, count, client) {
  const slow = await Promise.all(times(count, (n) => startSlow(client, `slow${n}`)))
  // A worker that is slow to take a connection is not given the next one.
  while (!pids.every((each) => slow.some(({ pid }) => pid === each))) {
    slow.push(await startSlow(client, `slow${slow.length}`))
  }
  return slow
}

/**
 * Begins a request that has read its session when this resolves, and sets `key` in it when it is
 * released. `pid` is the process that answers it.
 */
async function startSlow({ url, jar }, key) {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  const slow = request(`${url}/slow/${key}`, {
    method: 'POST',
    headers: { cookie, 'transfer-encoding': 'chunked' },
    agent: false,
  })
  slow.flushHeaders()
  const [response] = await once(slow, 'response')
  return {
    pid: Number(response.headers['x-pid']),
    release: async () => {
      const over = once(response.resume(), 'end')
      slow.end()
      await over
    },
  }
}

test.serial('a login by one worker of a cluster is one for all of them', async (t) => {
  const { url, pids } = await startCluster(t)
  t.is(pids.length, 4)
  const [ada, bob] = [createClient(url), createClient(url)]
  await login(ada, 'Ada')
  await login(bob, 'Bob')
  for (const [client, name] of [
    [ada, 'Ada'],
    [bob, 'Bob'],
  ]) {
    const answers = await askEach(pids, () => client.get('/me'))
    t.deepEqual([...answers.values()], Array(4).fill({ name }))
  }
})

test.serial('what one worker wrote is what the next request reads, whoever answers', async (t) => {
  const { url, pids } = await startCluster(t)
  const ada = createClient(url)
  await login(ada, 'Ada')
  const answered = new Set()
  const expected = { name: 'Ada' }
  for (let n = 0; n < 40; n++) {
    const write = await ada.post(`/keys/key${n}`)
    expected[`key${n}`] = 1
    const read = await ada.get('/me')
    t.deepEqual(read.body, expected)
    for (const { headers } of [write, read]) answered.add(headers.get('x-pid'))
  }
  t.is(answered.size, pids.length)
})

test.serial('a logout by one worker is one for the requests under way in all', async (t) => {
  const { url, path, pids } = await startCluster(t)
  const [ada, bob] = [createClient(url), createClient(url)]
  await login(ada, 'Ada')
  await login(bob, 'Bob')
  const slow = await startSlowInEach(pids, 8, { url, jar: ada.jar })

  t.is((await ada.copy().post('/logout')).status, 200)
  await Promise.all(slow.map(({ release }) => release()))

  const answers = await askEach(pids, () => ada.get('/me'))
  t.deepEqual([...answers.values()], Array(4).fill({}))
  t.deepEqual((await bob.get('/me')).body, { name: 'Bob' })
  t.is(await open(t, { path }).length(), 1, 'only Bob’s is left')
})

test.serial('overlapping requests of several workers keep each other’s writes', async (t) => {
  const { url, pids } = await startCluster(t)
  const ada = createClient(url)
  await login(ada, 'Ada')
  const slow = await startSlowInEach(pids, 12, { url, jar: ada.jar })
  const keys = slow.map((_, n) => `slow${n}`)
  await Promise.all(slow.map(({ release }) => release()))

  const { body } = await ada.get('/me')
  t.deepEqual(Object.keys(body).sort(), [...keys, 'name'].sort())
})

/**
 * A visitor who sends one request after the other, until `isOver(versions)` of the app's versions
 * that answered. What the app answered is
 * `expected` to be there later. A request that got no answer, because its process was ended, is
 * sent again.
 */
async function visit({ visitor, name }, isOver) {
  const expected = { name }
  const versions = new Set()
  let failed = 0
  for (let n = 0; !isOver(versions) || n === 0; n++) {
    const key = `key${n % 30}`
    try {
      const { status, headers } = await visitor.post(`/keys/${key}`)
      if (status !== 200) throw new Error(`the answer was ${status}`)
      expected[key] = Number(headers.get('x-version'))
      versions.add(expected[key])
    } catch (err) {
      // fetch says so where the connection has ended.
      if (err.message !== 'fetch failed' && err.message !== 'terminated') throw err
      failed++
      // What it wrote may be stored or not.
      delete expected[key]
    }
  }
  return { visitor, expected, versions, failed }
}

/** Logs in visitors. */
function logInMany(url, count) {
  return Promise.all(
    times(count, async (n) => {
      const [visitor, name] = [createClient(url), `user${n}`]
      await login(visitor, name)
      return { visitor, name }
    }),
  )
}

/** Checks that what the visitors were told was done is there. */
async function assertKept(t, visits) {
  for (const { visitor, expected } of visits) {
    const { body } = await visitor.get('/me')
    const kept = Object.fromEntries(Object.keys(expected).map((key) => [key, body[key]]))
    t.deepEqual(kept, expected)
  }
}

test.serial('sessions survive a rolling restart, old and new version at once', async (t) => {
  const { url, path, pids, told, roll } = await startCluster(t)
  let isRolled = false
  const visitors = await logInMany(url, 6)
  const isOver = (versions) => isRolled && versions.has(2)
  const visiting = Promise.all(visitors.map((visitor) => visit(visitor, isOver)))
  roll()
  const { pids: now } = await told('rolled')
  t.is(now.length, 4)
  t.false(
    now.some((pid) => pids.includes(pid)),
    'all workers are new ones',
  )
  isRolled = true
  const visits = await visiting
  for (const { versions } of visits) t.deepEqual([...versions].sort(), [1, 2])
  await assertKept(t, visits)
  t.is(await open(t, { path }).length(), visitors.length)
})

test.serial('a cluster whose workers are killed loses nothing that it answered', async (t) => {
  // Otherwise a connection that the primary was handing to the worker waits for ever.
  const { url, pids, told } = await startCluster(t, { NODE_CLUSTER_SCHED_POLICY: 'none' })
  let isOver = false
  const visitors = await logInMany(url, 6)
  const visiting = Promise.all(visitors.map((visitor) => visit(visitor, () => isOver)))
  let alive = pids
  for (let n = 0; n < 6; n++) {
    process.kill(alive[n % alive.length], 'SIGKILL')
    alive = (await told('replaced')).pids
  }
  isOver = true
  const visits = await visiting
  await assertKept(t, visits)
})

/** The number of processes that are killed in all. */
const KILLS = 500

test.serial(`${KILLS} writers that are killed lose nothing they were told is stored`, async (t) => {
  const path = await newFolder(t)
  const random = randomOf(t)
  const { value: store, warnings } = watchWarnings(() => open(t, { path, checkPeriod: 100 }))
  await store.set(BOARD, { cookie: COOKIE })
  const bystanders = await Promise.all(times(2, () => startChild(t, { path, checkPeriod: 100 })))
  const reports = bystanders.map(({ run }, n) =>
    run('standBy', { name: `bystander${n}`, others: 'w' }),
  )

  /** Starts writer `number`, kills it, and checks what it leaves. */
  async function killOne(number) {
    const writer = startWriter(t, path, `w${number}`)
    // One in ten is killed at a moment when it may still be opening the store.
    const isEarly = random.below(10) === 0
    if (isEarly) {
      await delay(random.below(120))
    } else {
      await writer.begun
      await delay(random.below(20))
    }
    const ledger = await writer.kill()
    await assertStored(ledger, `writer ${number}, which was killed`)
    return ledger
  }

  async function assertStored(ledger, message) {
    for (const sid of ledger.sids) {
      const found = await store.get(sid)
      const text = found && JSON.stringify(found)
      const allowed = ledger.allowed(sid)
      if (!allowed.includes(text)) {
        t.fail(
          `${message} at ${ledger.count}: ${sid} has ${about(text)}, not ${allowed.map(about)}`,
        )
      }
    }
  }

  const ledgers = []
  let left = KILLS
  const killMany = async () => {
    while (left-- > 0) ledgers[left] = await killOne(left)
  }
  await Promise.all(times(3, killMany))
  await Promise.all(bystanders.map(({ run }) => run('end')))

  for (const { operations, found, longest, errors } of await Promise.all(reports)) {
    t.deepEqual(errors, [])
    t.true(operations > 1000 && found > 10, `${operations} operations, ${found} found`)
    t.true(longest < HANGS, `one took ${longest} ms`)
  }
  // Nor has anything been lost when others were killed.
  const board = await store.get(BOARD)
  for (const [number, ledger] of ledgers.entries()) {
    await assertStored(ledger, `writer ${number}, after all`)
    const noted = board[`w${number}`]
    if (!ledger.allowsNote(noted)) {
      t.fail(`the board has ${noted} of writer ${number}, which was killed at ${ledger.count}`)
    }
  }
  const counts = ledgers.map(({ count }) => count)
  t.true(counts.filter((count) => count > 0).length > KILLS * 0.8)
  t.log(`${counts.reduce((sum, count) => sum + count)} operations were acknowledged`)

  // All there is can be read, and is whole.
  let read = 0
  for await (const [sid, session] of store.entries()) {
    if (sid === BOARD) continue
    read++
    if (!isWhole(session)) t.fail(`${sid} is corrupt`)
  }
  t.is(read, (await store.length()) - 1)
  t.deepEqual(warnings, [])
})

/** A session's text, short enough for a message. */
function about(text) {
  return text === undefined ? 'none' : `${text.slice(0, 160)}... (${text.length})`
}

test.serial('sessions survive that all processes are killed at once', async (t) => {
  const path = await newFolder(t)
  const random = randomOf(t)
  const ledgers = []
  await new MemoryStore({ path }).set(BOARD, { cookie: COOKIE })
  for (let round = 0; round < 8; round++) {
    const writers = times(3, (n) => startWriter(t, path, `w${round}-${n}`))
    await Promise.all(writers.map(({ begun }) => begun))
    await delay(random.below(30))
    ledgers.push(...(await Promise.all(writers.map(({ kill }) => kill()))))

    // Nobody has it open: the file is looked through.
    const { value: store, warnings } = watchWarnings(() => new MemoryStore({ path }))
    t.deepEqual(warnings, [])
    const board = await store.get(BOARD)
    for (const [number, ledger] of ledgers.entries()) {
      for (const sid of ledger.sids) {
        const found = await store.get(sid)
        t.true(ledger.allowed(sid).includes(found && JSON.stringify(found)), sid)
      }
      const name = `w${Math.floor(number / 3)}-${number % 3}`
      t.true(ledger.allowsNote(board[name]), name)
    }
    await store.close()
  }
})

for (const [when, periods] of [
  ['prune', { checkPeriod: 50, syncPeriod: 0 }],
  ['sync', { syncPeriod: 50 }],
]) {
  test.serial(`what killed readers held is given back with the next ${when}`, async (t) => {
    const path = await newFolder(t)
    const random = randomOf(t)
    // Small enough for a dead reader, which keeps pages from being used again, to fill it soon.
    const options = { path, mapSize: 512 << 20 }
    const store = open(t, { ...options, ...periods })
    const filler = 'x'.repeat(500)
    for (let n = 0; n < 1500; n++) await store.set(`sid-${n}`, { n, filler, cookie: COOKIE })

    const pids = []
    let [written, isOver] = [0, false]
    const writing = (async () => {
      for (; !isOver; written++) {
        // Fails if there is no room.
        await store.set(`sid-${written % 1500}`, { n: written, filler, cookie: COOKIE })
      }
    })()
    const killMany = async () => {
      for (let n = 0; n < 8; n++) {
        const reader = await startChild(t, options)
        await reader.run('readOn')
        await delay(random.below(15))
        await reader.kill()
        pids.push(reader.pid)
      }
    }
    await Promise.all(times(3, killMany))
    isOver = true
    await writing
    t.true(written > 1500, 'it was written all the while')
    // None had to go because the file seemed full.
    t.is(await store.length(), 1500)
    t.is(store.stats().evictionsByBytes, 0)
    if (LINUX) await until(async () => (await deadReaders(path, pids)) === 0)
    t.pass()
  })
}

test.serial('a reader that is held up for a moment fails nobody’s writes', async (t) => {
  const path = await newFolder(t)
  // So small that the writer has filled it before the reader goes on.
  const options = { path, mapSize: 4 << 20 }
  const store = open(t, options)
  for (let n = 0; n < 500; n++) await store.set(`sid-${n}`, { n, cookie: COOKIE })
  const [reader, writer] = await Promise.all(times(2, () => startChild(t, options)))
  await reader.run('readOn')
  // It fails if one cannot be written.
  const session = { filler: 'x'.repeat(500), cookie: COOKIE }
  const writing = writer.run('writeAndWatch', {
    prefix: 'new-',
    count: 20_000,
    figure: 'sessions',
    session,
  })
  let isWriting = true
  const written = writing.finally(() => (isWriting = false))
  while (isWriting) {
    process.kill(reader.pid, 'SIGSTOP')
    await delay(20)
    process.kill(reader.pid, 'SIGCONT')
    await delay(5)
  }
  t.true((await written) > 500)
})

test.serial('expired sessions are disposed of once, by one of the processes', async (t) => {
  const path = await newFolder(t)
  const options = { path, checkPeriod: 5, dispose: true, noDisposeOnSet: true }
  const children = await Promise.all(times(3, () => startChild(t, options)))
  const store = open(t, { path, dispose: () => t.fail('it prunes nothing') })
  const sids = times(5000, (n) => `sid-${n}`)
  const expires = new Date(Date.now() + 100)
  // While some are written others expire.
  for (const [n, sid] of sids.entries()) {
    await store.set(sid, { n, cookie: { expires, maxAge: n % 2 ? -1 : 20 } })
  }
  await store.set('alive', { cookie: COOKIE })
  const pruned = Promise.all(children.map(({ call }) => call('prune')))
  const disposed = async () =>
    (await Promise.all(children.map(({ run }) => run('disposed')))).flat()
  await pruned
  await until(async () => (await disposed()).length >= sids.length)
  t.deepEqual((await disposed()).sort(), sids.sort())
  t.deepEqual(await store.ids(), ['alive'])
})

test.serial('of two processes that prune, each session that expired is told to one', async (t) => {
  const path = await newFolder(t)
  const options = { path, dispose: true, noDisposeOnSet: true }
  const children = await Promise.all(times(2, () => startChild(t, options)))
  const of = (task) => Promise.all(children.map(({ run }) => run(task)))
  const sids = times(1000, (n) => `sid-${n}`)
  for (const [n, sid] of sids.entries()) {
    await children[n % 2].call('set', sid, { cookie: { maxAge: -1 } })
  }
  await Promise.all(children.map(({ call }) => call('prune')))
  t.deepEqual((await of('disposed')).flat().sort(), sids.sort())
  t.deepEqual([...new Set((await of('reasons')).flat())], ['expired'])
})

test.serial('what one process destroys, evicts or clears it disposes of alone', async (t) => {
  const path = await newFolder(t)
  const options = { path, max: 3, dispose: true, noDisposeOnSet: true }
  const [one, other] = await Promise.all(times(2, () => startChild(t, options)))
  await one.call('set', 'a', { cookie: { maxAge: HOUR } })
  await one.call('set', 'b', { cookie: { maxAge: 2 * HOUR } })
  await one.call('set', 'c', { cookie: { maxAge: 3 * HOUR } })
  await other.call('set', 'd', { cookie: { maxAge: 4 * HOUR } })
  t.deepEqual([await one.run('disposed'), await other.run('disposed')], [[], ['a']])
  await one.call('destroy', 'b')
  t.deepEqual([await one.run('disposed'), await other.run('disposed')], [['b'], ['a']])
  await other.call('clear')
  t.deepEqual(await one.run('disposed'), ['b'])
  t.deepEqual((await other.run('disposed')).sort(), ['a', 'c', 'd'])
  t.deepEqual(await one.run('reasons'), ['destroyed'])
  t.deepEqual(await other.run('reasons'), ['evicted', 'cleared', 'cleared'])
  await one.call('close')
  await other.call('close')
  t.deepEqual(await one.run('disposed'), ['b'])
})

test.serial('closing disposes of nothing: the sessions are kept', async (t) => {
  const path = await newFolder(t)
  const child = await startChild(t, { path, dispose: true })
  await child.call('set', 'sid', { n: 1, cookie: COOKIE })
  await child.call('close')
  t.deepEqual(await child.run('disposed'), [])
  t.is((await open(t, { path }).get('sid')).n, 1)
})

test.serial('max holds for what all processes write together', async (t) => {
  const path = await newFolder(t)
  const options = { path, max: 50 }
  const store = open(t, options)
  for (let n = 0; n < 10; n++) await store.set(`long:${n}`, { cookie: { maxAge: 2 * HOUR } })
  const children = await Promise.all(times(3, () => startChild(t, options)))
  const writing = (prefix, maxAge) => ({
    prefix,
    count: 300,
    figure: 'sessions',
    session: { cookie: { maxAge } },
  })
  const most = await Promise.all(
    children.map(({ run }, n) => run('writeAndWatch', writing(`short${n}:`, HOUR))),
  )
  t.deepEqual(most, [50, 50, 50])
  const ids = await store.ids()
  t.is(ids.length, 50)
  t.is(ids.filter((sid) => sid.startsWith('long:')).length, 10, 'what expires soonest goes first')
})

test.serial('maxBytes holds for what all processes write together', async (t) => {
  const path = await newFolder(t)
  const options = { path, maxBytes: 200_000 }
  const children = await Promise.all(times(3, () => startChild(t, options)))
  const session = { filler: 'x'.repeat(1000), cookie: COOKIE }
  const most = await Promise.all(
    children.map(({ run }, n) =>
      run('writeAndWatch', { prefix: `${n}:`, count: 300, figure: 'bytes', session }),
    ),
  )
  for (const bytes of most) t.true(bytes <= 200_000 && bytes > 100_000, `${bytes} bytes`)
  const store = open(t, options)
  const length = await store.length()
  t.true(length > 50 && length < 200, `${length} sessions`)
  t.true(store.stats().bytes <= 200_000)
})

test.serial('a file that is full makes room for what all processes write', async (t) => {
  const path = await newFolder(t)
  const options = { path, mapSize: 4 << 20 }
  const children = await Promise.all(times(3, () => startChild(t, options)))
  const session = { filler: 'x'.repeat(5000), cookie: COOKIE }
  // They fail if one cannot be written.
  await Promise.all(
    children.map(({ run }, n) =>
      run('writeAndWatch', { prefix: `${n}:`, count: 1500, figure: 'sessions', session }),
    ),
  )
  const store = open(t, options)
  const length = await store.length()
  t.true(length > 100 && length < 1000, `${length} sessions`)
  t.is(Object.keys(await store.all()).length, length)
})

test.serial('length, ids, all, clear and destroy are those of all processes', async (t) => {
  const path = await newFolder(t)
  const store = open(t, { path })
  const children = await Promise.all(times(3, () => startChild(t, { path })))
  for (const [n, { call }] of children.entries()) {
    await call('set', `sid-${n}`, { n, cookie: { maxAge: (n + 1) * HOUR } })
  }
  const sessions = {
    'sid-0': { n: 0, cookie: { maxAge: HOUR } },
    'sid-1': { n: 1, cookie: { maxAge: 2 * HOUR } },
    'sid-2': { n: 2, cookie: { maxAge: 3 * HOUR } },
  }
  for (const { call } of children) {
    t.is(await call('length'), 3)
    t.deepEqual(await call('ids'), ['sid-2', 'sid-1', 'sid-0'])
    t.deepEqual({ ...(await call('all')) }, sessions)
  }
  await children[0].call('destroy', ['sid-1', 'sid-2'])
  t.deepEqual(await children[1].call('ids'), ['sid-0'])
  t.deepEqual(await store.ids(), ['sid-0'])
  await children[1].call('clear')
  t.is(await store.length(), 0)
  t.is(await children[2].call('get', 'sid-0'), undefined)
})

test.serial('many processes that add to one session at once lose nothing', async (t) => {
  const path = await newFolder(t)
  const store = open(t, { path })
  await store.set('sid', { cookie: COOKIE })
  const children = await Promise.all(times(4, () => startChild(t, { path })))
  const count = 150
  await Promise.all(
    children.map(({ run }, n) => run('addKeys', { sid: 'sid', prefix: `${n}:`, count })),
  )
  const kept = Object.keys(await store.get('sid')).filter((key) => key !== 'cookie')
  t.is(kept.length, children.length * count)
})

test.serial('who comes and goes leaves the sessions to the others', async (t) => {
  const path = await newFolder(t)
  for (let n = 0; n < 6; n++) {
    const child = await startChild(t, { path })
    t.deepEqual(await child.run('warnings'), [])
    if (n > 0) t.deepEqual(await child.call('get', 'sid'), { n: n - 1, cookie: COOKIE })
    await child.call('set', 'sid', { n, cookie: COOKIE })
    if (n % 2) await child.kill()
    else await child.call('close')
  }
})

test.serial('a process started by one that has opened the store opens it itself', async (t) => {
  const path = await newFolder(t)
  const store = open(t, { path })
  await store.set('sid', { n: 1, cookie: COOKIE })
  const child = await startChild(t, { path })
  await child.call('set', 'sid', { n: 2, cookie: COOKIE })
  await child.call('close')
  t.is((await store.get('sid')).n, 2)
  await store.set('sid', { n: 3, cookie: COOKIE })
  t.is((await store.get('sid')).n, 3)
})

test.serial('process.exit amid writes and a prune exits, and what was stored stays', async (t) => {
  const path = await newFolder(t)
  const store = open(t, { path })
  for (let n = 0; n < 10; n++) {
    const child = await startChild(t, { path, checkPeriod: 1 })
    await child.call('set', `sid-${n}`, { n, cookie: COOKIE })
    child.run('exitAmidst', { code: 7 })
    t.deepEqual(await child.exit, { code: 7, signal: null })
  }
  await store.prune()
  t.deepEqual(
    (await store.ids()).sort(),
    times(10, (n) => `sid-${n}`),
  )
})

/** What the scripts of a process with worker threads share. */
const THREADS = `
  const { once } = require('node:events')
  const { readFileSync } = require('node:fs')
  const { Worker } = require('node:worker_threads')
  const MemoryStore = require('.')()
  const path = process.env.SESSIONS_PATH
  const print = (result) => process.stdout.write(JSON.stringify(result))

  /** Starts a worker with a store, which runs \`source\`. */
  const start = (source) => {
    const worker = new Worker(
      \`
        const { parentPort } = require('node:worker_threads')
        const MemoryStore = require('.')()
        const path = process.env.SESSIONS_PATH
        const run = async (store) => {
          \${source}
        }
        run(new MemoryStore({ path }))
      \`,
      { eval: true },
    )
    worker.on('error', (err) => { throw err })
    return worker
  }
`

test.serial('worker threads on one path share what their process has opened once', async (t) => {
  const path = await newFolder(t)
  const { maps, values } = await succeed(
    t,
    `${THREADS}
     const work = async () => {
       const store = new MemoryStore({ path })
       await store.set('main', { n: 0 })
       const workers = [1, 2, 3].map((n) => start(\`
         await store.set('sid-\${n}', { n: \${n}, seen: (await store.get('main')).n })
         parentPort.postMessage('done')
         parentPort.once('message', () => {})
       \`))
       await Promise.all(workers.map((worker) => once(worker, 'message')))
       const maps = ${LINUX} ? readFileSync('/proc/self/maps', 'utf8').split('data.mdb').length - 1 : 1
       const values = await Promise.all([1, 2, 3].map((n) => store.get('sid-' + n)))
       print({ maps, values })
       process.exit()
     }
     work()`,
    { env: { SESSIONS_PATH: path } },
  )
  t.is(maps, 1)
  t.deepEqual(
    values,
    [1, 2, 3].map((n) => ({ n, seen: 0 })),
  )
  t.is(await open(t, { path }).length(), 4)
})

for (const [where, main] of [
  ['beside a store of the main thread', 'const main = new MemoryStore({ path })'],
  ['in a process whose main thread has no store', 'const main = undefined'],
]) {
  test.serial(`workers that are terminated while they write harm nobody, ${where}`, async (t) => {
    const path = await newFolder(t)
    const other = open(t, { path })
    const count = await succeed(
      t,
      `${THREADS}
       ${main}
       const source = \`
         await store.prune()
         for (let n = 0; ; n++) {
           await store.set('sid-' + (n % 50), { n, cookie: { maxAge: n % 3 ? 60000 : -1 } })
           if (n % 20 === 19) store.prune(() => {})
           if (n % 20 === 19) await store.all()
           if (n === 30) parentPort.postMessage('begun')
         }
       \`
       let left = 30
       const terminateMany = async () => {
         while (left-- > 0) {
           const worker = start(source)
           await once(worker, 'message')
           await worker.terminate()
           if (main) await main.set('main', { left })
         }
       }
       const work = async () => {
         await Promise.all([terminateMany(), terminateMany()])
         const store = main || new MemoryStore({ path })
         await store.set('last', { n: 1 })
         print((await store.get('last')).n)
         await store.close()
       }
       work()`,
      { env: { SESSIONS_PATH: path } },
    )
    t.is(count, 1)
    t.is((await other.get('last')).n, 1)
    await other.set('other', { n: 2 })
    t.is((await other.get('other')).n, 2)
  })
}
