'use strict'

/**
 * Who may open the file of a path: one copy of the library in a process, by whatever name. And
 * what becomes of who has it open when it is removed or replaced.
 */

const { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync } = require('node:fs')
const { dirname, join } = require('node:path')
const test = require('ava')
const MemoryStore = require('..')()
const { run, succeed } = require('./helpers/process.js')
const { newFolder, startChild } = require('./helpers/processes.js')
const { until } = require('./helpers/stores.js')

const WINDOWS = process.platform === 'win32'
const ON_UNIX = WINDOWS ? test.skip : test

/** The addon that this process has loaded. */
const BINARY = Object.keys(require.cache).find((name) => name.endsWith('.node'))

/** Loads the package with another copy of its addon, as a bundler or a second version has it. */
const COPIES = `
  const load = (binary) => {
    process.env.MEMORYSTORE_RS_BINARY = binary
    for (const name of Object.keys(require.cache)) delete require.cache[name]
    return require('.')()
  }
  const [First, Second] = JSON.parse(process.env.COPIES).map(load)
  const path = process.env.FOLDER
  const { execFileSync } = require('node:child_process')

  /** Has another process write, and gives the sids that it finds then. */
  const write = (sid) => {
    const script =
      "const store = new (require('.')())({ path: process.env.FOLDER, mapSize: 2 ** 24 });" +
      'store.set(process.env.SID, { cookie: {} })' +
      '.then(() => store.ids()).then((ids) => console.log(JSON.stringify(ids.sort())))'
    const env = { ...process.env, SID: sid }
    return JSON.parse(execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' }))
  }
`

test('a second copy of the library in a process is refused, and harms nobody', async (t) => {
  const path = await newFolder(t)
  const copies = ['first.node', 'second.node'].map((name) => join(dirname(path), name))
  for (const copy of copies) copyFileSync(BINARY, copy)
  const env = { COPIES: JSON.stringify(copies), FOLDER: path }
  const seen = await succeed(
    t,
    `${COPIES}
     const main = async () => {
       const options = { path, mapSize: 2 ** 24 }
       const first = new First(options)
       const codes = []
       for (let n = 0; n < 3; n++) {
         try {
           new Second(options)
         } catch (err) {
           codes.push(err.code)
         }
         await first.set('first-' + n, { cookie: {} })
         write('other-' + n)
       }
       const ids = (await first.ids()).sort()
       await first.close()
       const second = new Second(options)
       const after = (await second.ids()).sort()
       let code
       try {
         new First(options)
       } catch (err) {
         code = err.code
       }
       const others = write('last')
       await second.close()
       console.log(JSON.stringify({ codes: [...codes, code], ids, after, others }))
     }
     main()`,
    { env },
  )
  const ids = ['first-0', 'first-1', 'first-2', 'other-0', 'other-1', 'other-2']
  t.deepEqual(seen.ids, ids)
  t.deepEqual(seen.after, ids)
  t.deepEqual(seen.others, [...ids.slice(0, 3), 'last', ...ids.slice(3)])
  t.deepEqual([...new Set(seen.codes)], ['ERR_MEMORYSTORE_SECOND_COPY'])
})

ON_UNIX('one folder by two names that are no links is opened once', async (t) => {
  const path = await newFolder(t)
  const other = join(dirname(path), 'mounted')
  mkdirSync(path, { mode: 0o700 })
  mkdirSync(other)
  const { code, stderr } = await run('mount', ['--bind', path, other])
  if (code !== 0) return t.pass(`left out, for nothing can be mounted here: ${stderr}`)
  try {
    const options = { mapSize: 2 ** 24 }
    const one = new MemoryStore({ ...options, path })
    const two = new MemoryStore({ ...options, path: other })
    await one.set('one', { cookie: {} })
    t.deepEqual(await two.ids(), ['one'])
    await one.close()
    const child = await startChild(t, { ...options, path: other })
    await child.call('set', 'child', { cookie: {} })
    await two.set('two', { cookie: {} })
    t.deepEqual((await two.ids()).sort(), ['child', 'one', 'two'])
    await two.close()
    t.deepEqual((await child.call('ids')).sort(), ['child', 'one', 'two'])
    await child.kill()
  } finally {
    await run('umount', [other])
  }
})

ON_UNIX.serial('a folder that is removed is noticed, told of once, and made anew', async (t) => {
  const path = await newFolder(t)
  const warnings = []
  const note = (warning) => {
    if (warning.message.includes(path)) warnings.push(warning)
  }
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const options = { path, mapSize: 2 ** 24, syncPeriod: 5 }
  const store = new MemoryStore(options)
  const same = new MemoryStore(options)
  const child = await startChild(t, options)
  await store.set('before-the-removal', { cookie: {} })
  for (let round = 1; round <= 2; round++) {
    // In one step: a store that noticed half of the removal would put new files into the folder.
    renameSync(path, `${path}-removed`)
    rmSync(`${path}-removed`, { recursive: true })
    await until(() => warnings.length === round)
    t.deepEqual(await same.ids(), [])
    await store.set('after', { cookie: {} })
    await until(async () => (await child.call('ids')).length === 1)
    await child.call('destroy', 'after')
    t.deepEqual(await store.ids(), [])
  }
  const [{ name, code, message }] = warnings
  t.deepEqual({ name, code }, { name: 'MemoryStoreWarning', code: 'MEMORYSTORE_RS_REPLACED' })
  t.regex(message, /removed or replaced/)
  t.false(message.includes('before-the-removal'))
  await Promise.all([store.close(), same.close()])
  t.is(warnings.length, 2)
})

test('a store on a path looks at its files at least once a second', async (t) => {
  const path = await newFolder(t)
  const periods = await succeed(
    t,
    `const timers = require('node:timers')
     const { setInterval } = timers
     const periods = []
     timers.setInterval = (tick, period) => {
       periods.push(period)
       return setInterval(tick, period)
     }
     const MemoryStore = require('.')()
     const main = async () => {
       for (const syncPeriod of [0, 60000, 20]) {
         periods.push(-1)
         await new MemoryStore({ path: process.env.FOLDER, syncPeriod }).close()
       }
       new MemoryStore()
       console.log(JSON.stringify(periods))
     }
     main()`,
    { env: { FOLDER: path } },
  )
  t.deepEqual(periods, [-1, 1000, -1, 1000, 60000, -1, 20, 20])
})

test('a file that is too large for the system is an error that names mapSize', async (t) => {
  const path = await newFolder(t)
  const error = t.throws(() => new MemoryStore({ path, mapSize: 2 ** 47 }))
  t.regex(error.message, /mapSize/)
  t.regex(error.code, /^(EFBIG|ENOMEM)$/)
})

ON_UNIX('every error of the system has its code', async (t) => {
  const path = await newFolder(t)
  const long = join(path, 'x'.repeat(300))
  t.is(t.throws(() => new MemoryStore({ path: long })).code, 'ENAMETOOLONG')
  mkdirSync(path, { recursive: true })
  symlinkSync('round', join(path, 'round'))
  t.is(t.throws(() => new MemoryStore({ path: join(path, 'round/sessions') })).code, 'ELOOP')
})

test('a store that was dropped does not block other options for ever', async (t) => {
  const path = await newFolder(t)
  // Without --expose-gc, and without anything else to collect.
  const errors = await succeed(
    t,
    `const MemoryStore = require('.')()
     const path = process.env.FOLDER
     const codes = []
     const drop = () => {
       new MemoryStore({ path, max: 5 })
     }
     drop()
     const timer = setInterval(() => {
       try {
         new MemoryStore({ path, max: 10 })
         clearInterval(timer)
         console.log(JSON.stringify(codes))
       } catch (err) {
         codes.push([err.code, err.message])
       }
     }, 1)`,
    { env: { FOLDER: path } },
  )
  for (const [code, message] of errors) {
    t.is(code, 'ERR_MEMORYSTORE_PATH')
    t.regex(message, /`max`.*[Cc]lose/)
  }
})

test('a sid that a path cannot keep is told of alone', async (t) => {
  const store = new MemoryStore({ path: await newFolder(t), mapSize: 2 ** 24 })
  const long = await t.throwsAsync(store.set('x'.repeat(504), { cookie: {} }))
  t.is(long.code, 'ERR_MEMORYSTORE_TOO_LARGE')
  t.regex(long.message, /the sid has more than 503 bytes/)
  const empty = await t.throwsAsync(store.set('', { cookie: {} }))
  t.is(empty.code, 'ERR_INVALID_ARG_VALUE')
  t.regex(empty.message, /the sid is empty/)
  for (const { message } of [long, empty]) t.notRegex(message, /maxBytes|mapSize/)
  const large = await t.throwsAsync(store.set('sid', { text: 'x'.repeat(2 ** 24) }))
  t.is(large.code, 'ERR_MEMORYSTORE_TOO_LARGE')
  t.notRegex(large.message, /\bsid\b/)
  await store.close()
})
