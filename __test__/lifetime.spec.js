'use strict'

// How long things live: the process, a store that nobody holds, its timer and its native memory,
// and the background thread. Each test runs a process of its own, which it can look into.

const { install } = require('@sinonjs/fake-timers')
const test = require('ava')
const MemoryStore = require('..')()
const { runScript, succeed } = require('./helpers/process.js')

const ON_LINUX = process.platform === 'linux' ? test.serial : test.skip

const GC = { args: ['--expose-gc'] }

/** What the scripts share. */
const TOOLS = `
  const { readdirSync, readFileSync } = require('node:fs')
  const { setTimeout: delay } = require('node:timers/promises')
  const MemoryStore = require('.')()

  const MB = 1024 * 1024
  const rss = () => process.memoryUsage.rss() / MB
  const ignore = () => {}

  /** The names of this process's threads. */
  const threads = () =>
    readdirSync('/proc/self/task').flatMap((id) => {
      try {
        return [readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim()]
      } catch {
        return [] // It has just ended.
      }
    })
  const ownThreads = () => threads().filter((name) => name === 'memorystore-rs').length

  /** Collects garbage until a condition holds. The parent kills a process that waits for ever. */
  const until = async (holds) => {
    for (;;) {
      // Before, not after: what a WeakRef gives cannot be collected until the end of the turn.
      global.gc?.()
      if (await holds()) return
      await delay(10)
    }
  }

  const fill = (store, count, body, ttl) => {
    for (let i = 0; i < count; i++) {
      store.set('sid-' + i, { cookie: { maxAge: ttl }, body }, ignore)
    }
  }
  const print = (result) => process.stdout.write(JSON.stringify(result))
`

test('a store with a checkPeriod does not keep the process alive', async (t) => {
  const order = await succeed(
    t,
    `${TOOLS}
     const store = new MemoryStore({ checkPeriod: 86400000 })
     new MemoryStore({ checkPeriod: 86400000, dispose: ignore })
     store.startInterval()
     store.set('sid', {}, ignore)
     process.on('exit', () => print('ended'))`,
  )

  t.is(order, 'ended')
})

test('watching a session does not keep the process alive', async (t) => {
  const order = await succeed(
    t,
    `${TOOLS}
     const store = new MemoryStore()
     store.set('sid', {}, ignore)
     store.watch('sid', ignore)
     store.watch('none', () => process.on('exit', () => print('ended')))`,
  )

  t.is(order, 'ended')
})

test('watching a session does not keep its store', async (t) => {
  const left = await succeed(
    t,
    `${TOOLS}
     const drop = () => {
       const store = new MemoryStore()
       store.set('sid', {}, ignore)
       const stop = store.watch('sid', ignore)
       return [stop, [store, store.store].map((object) => new WeakRef(object))]
     }
     const [stop, parts] = drop()
     until(() => parts.every((part) => part.deref() === undefined)).then(() => {
       stop()
       print(parts.filter((part) => part.deref()))
     })`,
    GC,
  )

  t.deepEqual(left, [])
})

test('a store whose prune is under way does not keep the process alive', async (t) => {
  const pruned = await succeed(
    t,
    `${TOOLS}
     const plain = new MemoryStore({ checkPeriod: 1 })
     const disposing = new MemoryStore({ checkPeriod: 1, dispose: ignore })
     for (const store of [plain, disposing]) fill(store, 1000, '', -1)
     const isPruned = async () => (await plain.length()) + (await disposing.length()) === 0
     until(isPruned).then(() => {
       for (const store of [plain, disposing]) fill(store, 50000, '', -1)
       setTimeout(() => print('pruned'), 3)
     })`,
  )

  t.is(pruned, 'pruned')
})

test('process.exit in the middle of a prune exits cleanly', async (t) => {
  const { code, signal, stderr } = await runScript(
    `${TOOLS}
     const store = new MemoryStore()
     fill(store, 300000, '', -1)
     store.prune(ignore)
     process.exit(7)`,
  )

  t.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' })
})

test('a dispose that throws in the background is an uncaught exception', async (t) => {
  const { code, stderr } = await runScript(
    `${TOOLS}
     const dispose = () => { throw new Error('from dispose') }
     const store = new MemoryStore({ checkPeriod: 1, dispose })
     fill(store, 1, '', 1)
     setInterval(ignore, 1000)`,
  )

  t.is(code, 1)
  t.regex(stderr, /Error: from dispose/)
})

test('a dispose that throws in the background does not end the disposing', async (t) => {
  const { sids, errors } = await succeed(
    t,
    `${TOOLS}
     const sids = new Set()
     let errors = 0
     process.on('uncaughtException', () => errors++)
     const dispose = (sid) => {
       sids.add(sid)
       throw new Error('from dispose')
     }
     const store = new MemoryStore({ checkPeriod: 1, dispose })
     fill(store, 2000, '', 1)
     until(() => sids.size === 2000).then(() => {
       print({ sids: sids.size, errors })
       process.exit()
     })`,
  )

  t.is(sids, 2000)
  t.true(errors >= 1, String(errors))
})

for (const options of ['{ checkPeriod: 1 }', '{ checkPeriod: 1, dispose: ignore }']) {
  test(`a store with ${options} that is dropped without stopInterval is freed`, async (t) => {
    const left = await succeed(
      t,
      `${TOOLS}
       const drop = async () => {
         const store = new MemoryStore(${options})
         fill(store, 1, '', 1)
         await until(() => store.stats().expirations === 1)
         return [store, store._checkInterval, store.store].map((object) => new WeakRef(object))
       }
       drop().then(async (parts) => {
         await until(() => parts.every((part) => part.deref() === undefined))
         print(parts.filter((part) => part.deref()))
       })`,
      GC,
    )

    t.deepEqual(left, [])
  })
}

// An allocator may keep what was freed for the next to come. So these tests use several times
// what is left to it.

ON_LINUX('stores that are dropped leave no native memory behind', async (t) => {
  const { growth } = await succeed(
    t,
    `${TOOLS}
     const body = 'x'.repeat(MB)
     const before = rss()
     const drop = () => fill(new MemoryStore({ checkPeriod: 60000 }), 20, body, 60000)
     ;(async () => {
       for (let i = 0; i < 40; i++) {
         drop()
         await until(() => rss() - before < 300)
       }
       print({ growth: rss() - before })
     })()`,
    GC,
  )

  t.true(growth < 300, `800 MB came and went, and ${growth} MB stayed`)
})

ON_LINUX('10,000 stores created and dropped leave no thread and no memory behind', async (t) => {
  const { started, counts, growth } = await succeed(
    t,
    `${TOOLS}
     const stores = async (count) => {
       for (let i = 0; i < count; i++) {
         const store = new MemoryStore({ checkPeriod: 60000, dispose: i % 2 ? ignore : undefined })
         // Some have enough to prune that it is left to the background thread.
         fill(store, i % 100 === 98 ? 300 : 3, 'x'.repeat(10000), -1)
         store.prune(ignore)
         if (i % 100 === 0) await delay(1).then(gc)
       }
     }
     ;(async () => {
       await stores(1000)
       const started = ownThreads()
       await until(() => ownThreads() === 0)
       const others = threads().length
       const before = rss()
       await stores(10000)
       await until(() => ownThreads() === 0)
       print({ started, counts: [others, threads().length], growth: rss() - before })
     })()`,
    GC,
  )

  t.is(started, 1)
  t.is(counts[0], counts[1])
  t.true(growth < 150, `500 MB came and went, and ${growth} MB stayed`)
})

test('a store has native functions for what requests call, and one for all the rest', (t) => {
  const { store } = new MemoryStore()
  const own = Object.keys(store)
  const all = []
  for (const name in store) all.push(name)

  t.is(own.length, 14, `each takes about a kilobyte: ${own}`)
  t.true(own.includes('operate'))
  t.true(all.length > 2 * own.length)
  t.throws(() => store.operate(all.length), { instanceOf: TypeError, message: /no such operation/ })
})

ON_LINUX('small stores that are dropped leave no memory behind', async (t) => {
  const { growth } = await succeed(
    t,
    `${TOOLS}
     const stores = async (count) => {
       for (let i = 0; i < count; i++) {
         new MemoryStore().set('sid', { cookie: {} }, ignore)
         if (i % 100 === 0) await delay(1)
       }
       gc()
       await delay(1)
     }
     ;(async () => {
       await stores(100)
       const before = rss()
       await stores(10000)
       print({ growth: rss() - before })
     })()`,
    // Or most of what stays are pages that V8 keeps for young objects.
    { args: [...GC.args, '--max-semi-space-size=1'] },
  )

  t.true(growth < 25, `700 MB came and went, and ${growth} MB stayed`)
})

ON_LINUX('one thread serves all stores of the process', async (t) => {
  const { seen, left } = await succeed(
    t,
    `${TOOLS}
     const before = threads().length
     const stores = Array.from({ length: 100 }, () => new MemoryStore({ checkPeriod: 1 }))
     for (const store of stores) fill(store, 500, '', 1)
     const seen = new Set()
     const left = async () => {
       const lengths = await Promise.all(stores.map((store) => store.length()))
       return lengths.reduce((sum, length) => sum + length)
     }
     ;(async () => {
       while ((await left()) > 0) {
         seen.add(threads().length - before)
         await delay(1)
       }
       seen.add(threads().length - before)
       print({ seen: [...seen].sort(), left: await left() })
     })()`,
  )

  t.is(left, 0)
  t.is(Math.max(...seen), 1)
})

ON_LINUX('what operations remove without dispose leaves no memory behind', async (t) => {
  const { growth } = await succeed(
    t,
    `${TOOLS}
     const store = new MemoryStore({ max: 2 })
     const body = 'x'.repeat(MB)
     ;(async () => {
       fill(store, 1, body, 60000)
       const before = rss()
       for (let i = 0; i < 200; i++) {
         fill(store, 4, body, 60000)
         await store.destroy('sid-3')
       }
       await until(() => rss() - before < 200)
       print({ growth: rss() - before })
     })()`,
    GC,
  )
  t.true(growth < 200, `800 MB came and went, and ${growth} MB stayed`)
})

ON_LINUX('a large session that is gone leaves no memory behind in the stores', async (t) => {
  const { growth } = await succeed(
    t,
    `${TOOLS}
     const stores = Array.from({ length: 12 }, () => new MemoryStore())
     const use = async (bytes) => {
       for (const store of stores) {
         await store.set('sid', 'x'.repeat(bytes))
         await store.get('sid')
         await store.destroy('sid')
       }
     }
     ;(async () => {
       await use(1000)
       const before = rss()
       // Buffers that stay would do so at once: no need to wait for longer than for what does not.
       await use(32 * MB)
       for (let i = 0; i < 20; i++) {
         gc()
         await delay(10)
       }
       print({ growth: rss() - before })
     })()`,
    GC,
  )
  t.true(growth < 250, `12 sessions of 32 MB came and went, and ${growth} MB stayed`)
})

test('V8 is told what stores have outside of its heap, and when they are gone', async (t) => {
  const { code, stdout } = await runScript(
    `${TOOLS}
     const { writeSync } = require('node:fs')
     let stores
     const tell = (step) => writeSync(1, step + '\\n')
     const make = () => (stores = Array.from({ length: 100 }, () => new MemoryStore()))
     ;(async () => {
       gc()
       tell('MADE')
       make()
       gc()
       tell('DROPPED')
       stores = undefined
       for (let i = 0; i < 10; i++) {
         gc()
         await delay(1)
       }
     })()`,
    { args: ['--expose-gc', '--trace-gc', '--trace-gc-verbose'] },
  )
  t.is(code, 0)
  const told = stdout.split(/^(?:MADE|DROPPED)$/m).map((step) => {
    const kilobytes = step.matchAll(/External memory reported: +(\d+) KB/g)
    return Number([...kilobytes].at(-1)[1])
  })
  // 14 functions each, of 16 KB.
  t.true(told[1] - told[0] >= 20000, `${told}`)
  t.true(told[2] - told[0] < 500, `${told}`)
})

ON_LINUX('close frees the memory of a store that is still held', async (t) => {
  const { growth } = await succeed(
    t,
    `${TOOLS}
     const body = 'x'.repeat(MB)
     const before = rss()
     const stores = []
     ;(async () => {
       for (let i = 0; i < 8; i++) {
         const store = new MemoryStore({ checkPeriod: 60000 })
         stores.push(store)
         fill(store, 100, body, 60000)
         await store.close()
         await until(() => rss() - before < 300)
       }
       print({ growth: rss() - before, stores: stores.length })
     })()`,
    GC,
  )

  t.true(growth < 300, `800 MB came and went, and ${growth} MB stayed`)
})

test('close ends the timer', (t) => {
  const clock = install({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const store = new MemoryStore({ checkPeriod: 1000 })
    t.is(clock.countTimers(), 1)
    store.close(() => {})

    t.is(clock.countTimers(), 0)
    t.is(store._checkInterval, undefined)
  } finally {
    clock.uninstall()
  }
})

const CALLS = {
  get: ['sid'],
  set: ['sid', {}],
  touch: ['sid', {}],
  destroy: ['sid'],
  ids: [],
  all: [],
  clear: [],
  length: [],
  prune: [],
}

for (const [method, args] of Object.entries(CALLS)) {
  test(`after close, ${method} gives a clear error`, async (t) => {
    const store = new MemoryStore({ checkPeriod: 1000 })
    await store.close()
    const expected = {
      code: 'ERR_MEMORYSTORE_CLOSED',
      message: `memorystore-rs: ${method}() was called on a store that is closed`,
    }

    await t.throwsAsync(store[method](...args), expected)
    const results = await new Promise((resolve) => {
      store[method](...args, (...given) => resolve(given))
    })
    t.like(results[0], expected)
  })
}

test('after close, startInterval throws, and stopInterval and close do nothing', async (t) => {
  const store = new MemoryStore({ checkPeriod: 1000 })
  await store.close()

  t.throws(() => store.startInterval(), { code: 'ERR_MEMORYSTORE_CLOSED' })
  t.notThrows(() => store.stopInterval())
  await t.notThrowsAsync(store.close())
})

test('close disposes of what is left', async (t) => {
  const disposed = []
  const store = new MemoryStore({ dispose: (sid) => disposed.push(sid) })
  await store.set('a', {})
  await store.set('b', {})
  await store.close()

  t.deepEqual(disposed, ['b', 'a'])
})
