'use strict'

// Workers that load the addon and end, in any way and at any moment: nothing crashes. Each test
// runs a process of its own, whose main thread, but for one test, does not load the addon: Node.js
// then unloads it together with the last worker, and a thread that still ran its code would crash.

const { mkdtemp, readFile, rm, writeFile } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')
const { succeed } = require('./helpers/process.js')

const LINUX = process.platform === 'linux'
/** musl never unloads a library. */
const GLIBC = LINUX && Boolean(process.report.getReport().header.glibcVersionRuntime)

/** What the scripts of the main threads share. */
const MAIN = `
  const { once } = require('node:events')
  const { readdirSync, readFileSync } = require('node:fs')
  const { setTimeout: delay } = require('node:timers/promises')
  const { Worker } = require('node:worker_threads')

  const start = (source, env) => {
    const worker = new Worker(source, { eval: true, env })
    worker.on('error', (err) => { throw err })
    return worker
  }

  /** Starts a worker and terminates it once it has reported. */
  const terminateOne = async (source, env) => {
    const worker = start(source, env)
    await once(worker, 'message')
    await worker.terminate()
  }

  /** Does that \`count\` times, \`together\` at a time. */
  const terminateMany = async (source, count, together) => {
    let left = count
    const one = async () => {
      while (left-- > 0) await terminateOne(source)
    }
    await Promise.all(Array.from({ length: together }, one))
    return count
  }
  /** Whether a thread of this process is one of the addon's, by what the system tells of it. */
  const isOwn = (stat) => {
    const end = stat.lastIndexOf(')')
    const name = stat.slice(stat.indexOf('(') + 1, end)
    const flags = Number(stat.slice(end + 2).split(' ')[6])
    // Who has waited for a thread may go on before the system has cleared it away.
    const PF_EXITING = 4
    return name === 'memorystore-rs' && (flags & PF_EXITING) === 0
  }
  const ownThreads = () =>
    readdirSync('/proc/self/task').filter((id) => {
      try {
        return isOwn(readFileSync('/proc/self/task/' + id + '/stat', 'utf8'))
      } catch {
        return false // It has just ended.
      }
    }).length

  /** Waits until a thread that all workers have left behind has ended, if it does not crash. */
  const settle = async () => {
    if (!${LINUX}) return delay(300)
    for (let n = 0; ownThreads() > 0; n++) {
      if (n === 5000) throw new Error('a thread was left behind')
      await delay(10)
    }
  }

  const print = (result) => process.stdout.write(JSON.stringify(result))
`

/** What the scripts of the workers share. */
const WORKER = `
  const { setImmediate: turn } = require('node:timers/promises')
  const { parentPort } = require('node:worker_threads')
  const MemoryStore = require('.')()

  const ignore = () => {}
  const report = (message) => parentPort.postMessage(message)
  const fill = (store, count) => {
    for (let i = 0; i < count; i++) store.set('sid-' + i, { i, cookie: { maxAge: -1 } }, ignore)
  }
`

/** Reports when a prune is under way, and goes on pruning. */
const PRUNES = `${WORKER}
  const stores = [new MemoryStore({ checkPeriod: 1 }), new MemoryStore({ dispose: ignore })]
  const work = async () => {
    for (;;) {
      for (const store of stores) {
        fill(store, 3000)
        store.prune(ignore)
      }
      report('pruning')
      await turn()
    }
  }
  work()
`

/** Reports when it has begun to set and get without a pause. */
const SETS_AND_GETS = `${WORKER}
  const store = new MemoryStore({ max: 500, dispose: ignore })
  const work = async () => {
    for (let i = 0; ; i++) {
      store.set('sid-' + (i % 1000), { i }, ignore)
      store.get('sid-' + ((i * 7) % 1000), ignore)
      if (i % 1000 === 0) await turn()
    }
  }
  report('begun')
  work()
`

/** Leaves a store that takes a while to free, which is the background thread's work. */
const LEAVES_WORK = `${WORKER}
  new MemoryStore().prune(ignore)
  const store = new MemoryStore()
  for (let i = 0; i < 150000; i++) store.set('sid-' + i, { i }, ignore)
  report('filled')
`

/** Ends by itself, with a prune under way. */
const ENDS = `${WORKER}
  const store = new MemoryStore({ checkPeriod: 1 })
  fill(store, 20000)
  store.prune(ignore)
  report('pruning')
`

/** The folder of two copies of the binary that can be unloaded, and what scripts are run with. */
let folder, files, options

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'memorystore-rs-workers-'))
  files = [join(folder, 'one.node'), join(folder, 'other.node')]
  const library = allowUnloading(await readFile(builtBinary()))
  for (const file of files) await writeFile(file, library)
  options = { env: { MEMORYSTORE_RS_BINARY: files[0] } }
})

test.after.always(() => rm(folder, { recursive: true }))

test.serial('200 workers that are terminated in the middle of a prune crash nothing', async (t) => {
  const script = `terminateMany(${JSON.stringify(PRUNES)}, 200, 3).then(print)`

  t.is(await succeed(t, MAIN + script, options), 200)
})

test.serial('after each last worker, terminated in a prune, the process lives on', async (t) => {
  const unloaded = await succeed(
    t,
    `${MAIN}
     const isLoaded = (file) => readFileSync('/proc/self/maps', 'utf8').includes(file)
     const work = async (files) => {
       let unloaded = 0
       for (let i = 0; i < 40; i++) {
         const [file, other] = i % 2 ? files : files.toReversed()
         await terminateOne(${JSON.stringify(PRUNES)}, { ...process.env, MEMORYSTORE_RS_BINARY: file })
         await settle()
         // glibc unloads a library that had thread-locals when the next one is closed.
         if (${GLIBC} && !isLoaded(other)) unloaded++
       }
       return unloaded
     }
     work(${JSON.stringify(files)}).then(print)`,
    options,
  )

  if (GLIBC) t.is(unloaded, 40)
})

test.serial('the background thread has ended when the last worker has', async (t) => {
  if (!LINUX) return t.pass()
  const threads = await succeed(
    t,
    `${MAIN}
     const work = async () => {
       const threads = []
       for (let i = 0; i < 5; i++) {
         await terminateOne(${JSON.stringify(LEAVES_WORK)})
         threads.push(ownThreads())
       }
       return threads
     }
     work().then(print)`,
    options,
  )

  t.deepEqual(threads, Array(5).fill(0))
})

test.serial('workers that end by themselves with a prune under way crash nothing', async (t) => {
  const codes = await succeed(
    t,
    `${MAIN}
     const work = async () => {
       const codes = []
       for (let i = 0; i < 20; i++) codes.push((await once(start(${JSON.stringify(ENDS)}), 'exit'))[0])
       await settle()
       return codes
     }
     work().then(print)`,
    options,
  )

  t.deepEqual(codes, Array(20).fill(0))
})

test.serial('workers that are terminated while they set and get crash nothing', async (t) => {
  const script = `terminateMany(${JSON.stringify(SETS_AND_GETS)}, 30, 2).then(print)`

  t.is(await succeed(t, MAIN + script, options), 30)
})

test.serial(
  'a worker that calls process.exit in the middle of a prune crashes nothing',
  async (t) => {
    const script = `once(start(${JSON.stringify(`${ENDS} process.exit(7)`)}), 'exit')
    .then(([code]) => settle().then(() => print(code)))`

    t.is(await succeed(t, MAIN + script, options), 7)
  },
)

test.serial('a store of the main thread goes on while workers come and go', async (t) => {
  const result = await succeed(
    t,
    `${MAIN}
     const work = async () => {
       const store = new (require('.')())({ checkPeriod: 1 })
       const workers = terminateMany(${JSON.stringify(PRUNES)}, 20, 2)
       for (let i = 0; i < 20000; i++) {
         store.set('sid-' + i, { i, cookie: { maxAge: i % 2 ? -1 : 3600000 } }, () => {})
         if (i % 100 === 0) await delay(1)
       }
       const count = await workers
       // The thread must still be there for this store.
       while ((await store.length()) > 10000) await delay(1)
       return { count, length: await store.length(), last: await store.get('sid-19998') }
     }
     work().then(print)`,
    options,
  )

  t.deepEqual(result, { count: 20, length: 10000, last: { i: 19998, cookie: { maxAge: 3600000 } } })
})

test.serial('process.exit in the main thread while workers prune exits cleanly', async (t) => {
  const script = `
    const workers = [1, 2, 3].map(() => start(${JSON.stringify(PRUNES)}))
    Promise.all(workers.map((worker) => once(worker, 'message'))).then(() => {
      print('pruning')
      process.exit()
    })`

  t.is(await succeed(t, MAIN + script, options), 'pruning')
})

test.serial('stores of one worker are not seen by another', async (t) => {
  const lengths = await succeed(
    t,
    `${MAIN}
     const source = ${JSON.stringify(`${WORKER}
       const store = new MemoryStore()
       fill(store, 10)
       store.length().then(report)`)}
     const workers = [start(source), start(source)]
     Promise.all(workers.map((worker) => once(worker, 'message'))).then((all) => print(all.flat()))`,
    options,
  )

  t.deepEqual(lengths, [10, 10])
})

function builtBinary() {
  require('..')
  return Object.keys(require.cache).find((name) => name.endsWith('.node'))
}

/**
 * Takes from a library the flag that keeps it loaded (`-z nodelete`), which the linker sets on
 * glibc only, so that what happens elsewhere happens here too.
 */
function allowUnloading(library) {
  const PT_DYNAMIC = 2
  const DT_FLAGS_1 = 0x6ffffffbn
  const DF_1_NODELETE = 8n
  if (!LINUX) return library

  const headers = Number(library.readBigUInt64LE(0x20))
  const size = library.readUInt16LE(0x36)
  const count = library.readUInt16LE(0x38)
  for (let at = headers; at < headers + count * size; at += size) {
    if (library.readUInt32LE(at) !== PT_DYNAMIC) continue
    const start = Number(library.readBigUInt64LE(at + 8))
    const end = start + Number(library.readBigUInt64LE(at + 32))
    for (let entry = start; entry < end; entry += 16) {
      if (library.readBigUInt64LE(entry) !== DT_FLAGS_1) continue
      const flags = library.readBigUInt64LE(entry + 8)
      library.writeBigUInt64LE(flags & ~DF_1_NODELETE, entry + 8)
    }
  }
  return library
}
