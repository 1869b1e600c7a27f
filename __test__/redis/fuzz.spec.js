'use strict'

/**
 * Random calls by three stores in two processes, each with a connection of its own, and by
 * connect-redis beside them, while connections are cut, frozen and killed. Whenever it is quiet
 * again, each store has to read what is stored, and that has to be what a model allows: nothing that
 * was acknowledged is lost, and no logout is undone.
 *
 * MEMORYSTORE_RS_FUZZ_SECONDS makes it run for longer. MEMORYSTORE_RS_SEED gives the same calls
 * again; how they overlap differs from run to run.
 */

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { RedisStore } = require('connect-redis')
const { onEachServer } = require('../helpers/on-each-server.js')
const { randomOf } = require('../helpers/processes.js')
const { startProxy } = require('../helpers/proxy.js')
const { act, compare, now } = require('../helpers/redis-actor.js')
const { Model } = require('../helpers/redis-model.js')
const { servers, startServer } = require('../helpers/redis-servers.js')
const { LIBRARIES, connectClient, eventually, openStore } = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

const ACTOR = join(__dirname, '../helpers/redis-actor.js')

/** For all servers together. */
const SECONDS = Number(process.env.MEMORYSTORE_RS_FUZZ_SECONDS ?? 12)

/** How long it goes on between two comparisons, in milliseconds. */
const ROUND = 400

/** For how long a store may take to hear what is told on another connection, in milliseconds. */
const PATIENCE = 10_000

const TIMEOUT = 150

/**
 * How many keys are tracked: so few that most invalidations are those of keys that had to go; or
 * any number.
 */
const TABLES = [20, 0]

const FIXED = Array.from({ length: 15 }, (_, n) => `sid-${n}`)

/** A process with a store; `ask` has it do one of the tasks of redis-actor.js. */
function startActor(t, url, library, options) {
  const child = fork(ACTOR, [JSON.stringify({ url, library, options })], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let last = 0
  return async function ask(task, args) {
    const id = ++last
    child.send({ id, task, args })
    for (;;) {
      const [answer] = await once(child, 'message')
      if (answer.id !== id) continue
      if (answer.error) throw new Error(answer.error)
      return answer.result
    }
  }
}

/** An actor of this process. */
function actorOf(store) {
  const TASKS = {
    act: (how) => act(store, how),
    compare: ({ stored, patience }) => compare(store, stored, patience),
    settle: () => eventually(() => store.get('none')),
    stats: () => store.stats(),
  }
  return async (task, args) => TASKS[task](args)
}

/**
 * A server with its actors, each behind a proxy of its own, and a client that is not.
 *
 * @param adapt changes a client of node-redis before a store gets it
 */
async function startWorld(t, binary, random, { options, adapt = (client) => client }) {
  const server = await startServer({ binary })
  t.teardown(() => server.kill())
  const proxies = []
  for (let n = 0; n < 3; n++) {
    const proxy = await startProxy(server.port)
    t.teardown(() => proxy.close())
    proxies.push(proxy)
  }
  const [near, other, far] = proxies
  const client = adapt(LIBRARIES['node-redis'].open(near.url))
  const actors = {
    near: actorOf(openStore(t, near.url, { client, ...options })),
    other: actorOf(openStore(t, other.url, { library: 'ioredis', ...options })),
    far: startActor(t, far.url, 'node-redis', options),
  }
  const admin = await connectClient(t, server.url)
  await admin.sendCommand(['CLIENT', 'SETNAME', 'admin'])
  const foreign = new RedisStore({ client: admin })
  return { server, proxies, actors, admin, foreign, random, model: new Model(isFinal(options)) }
}

function isFinal({ destroyed }) {
  return destroyed === 'final'
}

/** Lets the network and the server fail, until `isOver()`. Resolves with the events. */
async function disturb({ server, proxies, admin, random }, isOver) {
  const events = []
  const proxy = () => proxies[random.below(proxies.length)]
  const troubles = [
    () => proxy().cut(),
    async () => {
      const frozen = proxy()
      frozen.freeze()
      await delay(random.below(2 * TIMEOUT))
      frozen.thaw()
    },
    () => proxy().delay(random.below(15)),
    () => proxy().delay(0),
    async () => {
      const list = await admin.sendCommand(['CLIENT', 'LIST'])
      const lines = list.split('\n').filter((line) => / laddr=127/.test(line))
      const others = lines.filter((line) => !line.includes('name=admin'))
      const ids = others.map((line) => /^id=(\d+)/.exec(line)[1])
      if (ids.length > 0) {
        await admin.sendCommand(['CLIENT', 'KILL', 'ID', ids[random.below(ids.length)]])
      }
    },
    () => admin.sendCommand(['SCRIPT', 'FLUSH']),
    async () => {
      if (random.below(3) > 0) return
      const event = { kind: 'flush', start: now() }
      events.push(event)
      await admin.flushAll()
      event.end = now()
    },
    async () => {
      await server.stop()
      await delay(random.below(TIMEOUT))
      server.cont()
    },
  ]
  while (!isOver()) {
    await troubles[random.below(troubles.length)]()
    await delay(random.below(120))
  }
  return events
}

/** One round. Resolves with what was wrong at its end. */
async function play(t, world, round, { table, isQuiet = false }) {
  const { server, proxies, actors, foreign, admin, random, model } = world
  const sids = [...FIXED, ...Array.from({ length: 25 }, (_, n) => `sid-${round}-${n}`)]
  const how = (name) => ({
    name: `${name}${round}_`,
    seed: random.below(2 ** 32),
    sids,
    duration: ROUND,
  })
  await server.command('CONFIG', 'SET', 'tracking-table-max-keys', table)
  let isOver = false
  const acting = Object.entries(actors).map(([name, ask]) => ask('act', how(name)))
  const foreigner = act(foreign, { ...how('foreign'), isForeign: true })
  const troubles = isQuiet ? Promise.resolve([]) : disturb(world, () => isOver)
  const results = await Promise.all([...acting, foreigner])
  isOver = true
  model.note(await troubles)
  for (const { events } of results) model.note(events)

  for (const proxy of proxies) {
    proxy.thaw()
    proxy.delay(0)
  }
  await until(() => proxies.every((proxy) => proxy.held() === 0))
  for (const ask of Object.values(actors)) await ask('settle')
  // What was under way has come before this.
  for (let n = 0; n < 3; n++) await server.command('PING')
  model.settle(now())

  const stored = {}
  const texts = await admin.mGet(sids.map((sid) => `sess:${sid}`))
  sids.forEach((sid, i) => {
    stored[sid] = texts[i] === null ? undefined : JSON.parse(texts[i])
  })
  const faults = results.flatMap(({ errors }) => errors)
  for (const sid of sids) {
    const found = model.faults(sid, stored[sid])
    if (found.length > 0) t.log([sid, ...model.history(sid)].join('\n'))
    faults.push(...found.map((fault) => `${sid}: ${fault}`))
  }
  const stale = []
  for (const [name, ask] of Object.entries(actors)) {
    const patience = name === 'other' ? PATIENCE : 0
    const wrong = await ask('compare', { stored, patience })
    stale.push(...wrong.map((sid) => `${sid}: stale at ${name}`))
  }
  const events = results.reduce((sum, result) => sum + result.events.length, 0)
  return { faults, stale, events, compared: 3 * sids.length }
}

/**
 * A client of node-redis whose duplicates switch NOLOOP on. They do so after the store has proved
 * that the server tells of changes, which it would not do with NOLOOP.
 */
function withNoLoop(client) {
  const { duplicate } = client
  client.duplicate = (options) => {
    const made = duplicate.call(client, options)
    const { sendCommand } = made
    made.sendCommand = (args, ...rest) => {
      const reply = sendCommand.call(made, args, ...rest)
      const isProved = args[0] === 'UNLINK'
      if (isProved) sendCommand.call(made, ['CLIENT', 'TRACKING', 'ON', 'NOLOOP'])
      return reply
    }
    return made
  }
  return client
}

onEachServer((test, { binary }) => {
  for (const options of [
    { timeout: TIMEOUT, touchAfter: 0 },
    { timeout: TIMEOUT, destroyed: 'final' },
  ]) {
    const kind = options.destroyed ?? 'forgotten'
    test.serial(`nothing is stale, lost or undone after failures (${kind})`, async (t) => {
      const world = await startWorld(t, binary, randomOf(t), { options })
      const deadline = now() + (SECONDS * 1000) / servers().length / 2
      let [events, compared] = [0, 0]
      let hits = [0]
      // On a busy machine it takes until a near-cache has been of use.
      for (let round = 0; now() < deadline || hits.includes(0); round++) {
        const played = await play(t, world, round, { table: TABLES[round % 2] })
        t.deepEqual([...played.faults, ...played.stale], [], `in round ${round}`)
        events += played.events
        compared += played.compared
        const stats = await Promise.all(Object.values(world.actors).map((ask) => ask('stats')))
        hits = stats.map(({ cacheHits }) => cacheHits)
      }
      t.log(`${events} changes, ${compared} comparisons, ${hits.join(', ')} hits`)
    })
  }

  test.serial('the same finds what is stale where NOLOOP is given', async (t) => {
    const options = { timeout: 10_000, touchAfter: 0 }
    const adapt = withNoLoop
    const world = await startWorld(t, binary, randomOf(t), { options, adapt })
    let stale = []
    for (let round = 0; stale.length === 0; round++) {
      if (round === 50) return t.fail('nothing stale was found')
      const played = await play(t, world, round, { table: TABLES[0], isQuiet: true })
      t.deepEqual(played.faults, [])
      stale = played.stale
    }
    for (const text of stale) t.regex(text, /: stale at near$/)
    return undefined
  })
})
