'use strict'

/**
 * What can be wrong with the file of a store on a path, and with where it is to be: the app goes
 * on, or is told clearly why it cannot start. What is stored in a file that is not damaged comes
 * back as it was.
 */

const fs = require('node:fs')
const { mkdtemp, rm } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')
const session = require('express-session')
const MemoryStore = require('..')(session)
const { ROOT, run, runScript, succeed } = require('./helpers/process.js')
const { newFolder, randomOf, startChild } = require('./helpers/processes.js')
const { watchWarnings } = require('./helpers/stores.js')
const { COUNT, MAP_SIZE, SECRETS, fill } = require('./helpers/survivor.js')

const LINUX = process.platform === 'linux'
const WINDOWS = process.platform === 'win32'
const IS_ROOT = process.getuid?.() === 0
const HOUR = 3600_000
const COOKIE = { originalMaxAge: HOUR, path: '/' }

/** The file, in its folder. */
const DATA = 'data.mdb'

/** The folder of a store that was filled and closed, and must not be touched. */
let folder, undamaged

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'memorystore-rs-'))
  undamaged = join(folder, 'sessions')
  await fill(undamaged)
})

test.after.always(() => rm(folder, { recursive: true, force: true }))

/** Runs trials in a process of their own, and returns its reports; see helpers/survivor.js. */
async function survive(t, trials) {
  const path = await newFolder(t)
  const survivor = join(__dirname, 'helpers/survivor.js')
  const { code, signal, stdout, stderr } = await run(
    process.execPath,
    [survivor, JSON.stringify({ undamaged, path, trials })],
    // What the store logs then must not give anything away either.
    { env: { ...process.env, DEBUG: 'memorystore' } },
  )
  const lines = stdout.trim().split('\n')
  t.deepEqual({ code, signal }, { code: 0, signal: null }, `${lines.at(-1)}\n${lastOf(stderr)}`)
  const reports = lines.map((line) => JSON.parse(line)).filter((line) => line.trial)
  t.is(reports.length, trials.length)
  for (const secret of Object.values(SECRETS)) {
    t.false(stderr.includes(secret), `${secret} is in what was logged`)
    t.false(stdout.includes(secret), `${secret} is in an error or a warning`)
  }
  return { path, reports }
}

const lastOf = (text) => text.slice(-3000)

/** Checks what holds whatever has been done to the file. */
function assertGoesOn(t, path, report) {
  const about = JSON.stringify(report)
  t.deepEqual(report.wrong, [], `a session is not what was written: ${about}`)
  t.deepEqual(report.errors, [], about)
  t.true(report.works, about)
  t.deepEqual(report.again, [], `it is damaged still: ${about}`)
  if (report.aside.length > 0) {
    const [{ aside, isSame }] = report.aside
    const [{ code, message }] = report.warnings
    t.is(code, 'MEMORYSTORE_RS_DAMAGED', about)
    t.true(message.includes(path) && message.includes(aside), about)
    t.true(isSame, `what was set aside is not what there was: ${about}`)
    t.is(report.kept, 0, about)
    t.is(report.length, 0, about)
  } else {
    t.deepEqual(report.warnings, [], about)
  }
}

for (const damages of [
  ['cut off', 'cut off after a page'],
  ['a bit is flipped', 'some bytes are random', 'a head of a page is another'],
  ['a page is zeros', 'a page is noise', 'a page is another one', 'the counts are others'],
]) {
  test(`the app goes on where ${damages.join(', or ')}`, async (t) => {
    const random = randomOf(t)
    const trials = Array.from({ length: 36 }, (_, n) => ({
      damage: damages[n % damages.length],
      seed: random.below(2 ** 32),
      isInPlace: n % 2 === 0,
    }))
    const { path, reports } = await survive(t, trials)
    for (const report of reports) assertGoesOn(t, path, report)
    const setAside = reports.filter(({ aside }) => aside.length > 0).length
    const kept = reports.map((report) => report.kept)
    t.log(`${setAside} of ${reports.length} set aside; ${Math.max(...kept)} sessions kept at most`)
    t.true(setAside > 0)
  })
}

test('a file that is none of this version’s is set aside, and the store is empty', async (t) => {
  const damages = [
    'text',
    'a page of zeros',
    'only zeros',
    'noise',
    'another version of LMDB',
    'another version of the format',
    'a folder',
  ]
  const trials = damages.flatMap((damage) =>
    [false, true]
      .filter((isInPlace) => !(isInPlace && damage === 'a folder'))
      .map((isInPlace) => ({ damage, seed: 1, isInPlace })),
  )
  const { path, reports } = await survive(t, trials)
  for (const report of reports) {
    assertGoesOn(t, path, report)
    t.is(report.aside.length, 1, JSON.stringify(report))
    t.regex(report.aside[0].aside, /data\.mdb\.damaged-20\d\d-\d\d-\d\dT[\d.-]+Z?$/)
  }
})

test('an empty file is a store without sessions, with nothing to be set aside', async (t) => {
  const { path, reports } = await survive(t, [{ damage: 'empty', seed: 1, isInPlace: false }])
  assertGoesOn(t, path, reports[0])
  t.deepEqual(reports[0].aside, [])
  t.is(reports[0].length, 0)
})

test('a file that is not damaged is no cause for warnings, and keeps every session', async (t) => {
  const path = await newFolder(t)
  fs.cpSync(undamaged, path, { recursive: true })
  const options = { path, mapSize: MAP_SIZE }
  const { value: store, warnings } = watchWarnings(() => new MemoryStore(options))
  t.deepEqual(warnings, [])
  t.is(await store.length(), COUNT)
  t.is(Object.keys(await store.all()).length, COUNT)
  await store.close()
})

test('several damaged files are set aside beside each other', async (t) => {
  const path = await newFolder(t)
  const all = []
  for (let n = 0; n < 3; n++) {
    fs.mkdirSync(path, { recursive: true })
    fs.writeFileSync(join(path, DATA), `damaged ${n}`)
    const { value: store, warnings } = watchWarnings(() => new MemoryStore({ path }))
    await store.close()
    all.push(...warnings.map(({ message }) => message))
  }
  t.is(new Set(all).size, 3)
  const aside = fs.readdirSync(path).filter((name) => name.includes('.damaged-'))
  const texts = aside.map((name) => fs.readFileSync(join(path, name), 'utf8'))
  t.deepEqual(texts.sort(), ['damaged 0', 'damaged 1', 'damaged 2'])
  for (const name of aside) t.is(all.filter((message) => message.includes(name)).length, 1, name)
})

test('a damaged file is a warning of the process, and no more', async (t) => {
  const path = await newFolder(t)
  fs.mkdirSync(path)
  fs.writeFileSync(join(path, DATA), 'not a database')
  const { code, stderr } = await runScript(
    `const MemoryStore = require('.')()
     process.on('warning', ({ name, code }) => console.error('heard of', name, code))
     new MemoryStore({ path: ${JSON.stringify(path)} })`,
  )
  t.is(code, 0)
  t.true(stderr.includes('[MEMORYSTORE_RS_DAMAGED]'), stderr)
  t.true(stderr.includes('heard of MemoryStoreWarning MEMORYSTORE_RS_DAMAGED'), stderr)
})

test('who comes while another process has set the file aside shares the new one', async (t) => {
  const path = await newFolder(t)
  fs.mkdirSync(path)
  fs.writeFileSync(join(path, DATA), 'not a database')
  const { value: store, warnings } = watchWarnings(() => new MemoryStore({ path }))
  t.teardown(() => store.close())
  t.is(warnings.length, 1)
  await store.set('sid', { n: 1, cookie: COOKIE })
  const { code, stdout, stderr } = await runScript(
    `const store = new (require('.')())({ path: ${JSON.stringify(path)} })
     store.get('sid').then(({ n }) => process.stdout.write(String(n)))`,
  )
  t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '1', stderr: '' })
})

test('of processes that find the file damaged at once, one sets it aside', async (t) => {
  const path = await newFolder(t)
  fs.mkdirSync(path)
  fs.writeFileSync(join(path, DATA), 'not a database')
  const children = await Promise.all([1, 2, 3, 4].map(() => startChild(t, { path })))
  const warnings = await Promise.all(children.map(({ run }) => run('warnings')))
  t.deepEqual(
    warnings.flat().map(({ code }) => code),
    ['MEMORYSTORE_RS_DAMAGED'],
  )
  t.is(fs.readdirSync(path).filter((name) => name.includes('.damaged-')).length, 1)
  for (const [n, { call }] of children.entries()) await call('set', `sid-${n}`, { n })
  for (const { call } of children) t.is(await call('length'), children.length)
})

/** The error of opening a store on `path`, which has to say where and why. */
function openingFails(t, path, code) {
  const error = t.throws(() => new MemoryStore({ path }), { code })
  t.true(error.message.startsWith('memorystore-rs: '), error.message)
  t.true(error.message.includes(path), error.message)
  return error
}

test('a file where the folder is to be is an error, and is left alone', async (t) => {
  const path = await newFolder(t)
  fs.writeFileSync(path, 'a file')
  const { message } = openingFails(t, path, WINDOWS ? undefined : 'ENOTDIR')
  t.regex(message, /not a directory|file exists/i)
  t.is(fs.readFileSync(path, 'utf8'), 'a file')
})

test('a folder below a file is an error', async (t) => {
  const path = await newFolder(t)
  fs.writeFileSync(path, 'a file')
  openingFails(t, join(path, 'sessions'), WINDOWS ? undefined : 'ENOTDIR')
})

const onLinux = LINUX ? test : test.skip
const onUnix = WINDOWS ? test.skip : test

onLinux('a folder that the system does not allow is an error', (t) => {
  openingFails(t, '/proc/memorystore-rs', 'ENOENT')
})

test('a store that could not be opened can be opened when the cause is gone', async (t) => {
  const path = await newFolder(t)
  fs.writeFileSync(path, 'a file')
  for (let n = 0; n < 3; n++) t.throws(() => new MemoryStore({ path }))
  fs.rmSync(path)
  const store = new MemoryStore({ path })
  await store.set('sid', { n: 1 })
  t.deepEqual(await store.get('sid'), { n: 1 })
  await store.close()
})

/** The user that may do little, where the tests are run by root. */
const NOBODY = 65534

/** What a process that may do little gets when it opens a store on `path`. */
function openAsNobody(t, path) {
  return succeed(
    t,
    `const MemoryStore = require('.')()
     if (process.getuid() === 0) {
       process.setgroups([])
       process.setgid(${NOBODY})
       process.setuid(${NOBODY})
     }
     const print = (result) => process.stdout.write(JSON.stringify(result))
     const warnings = []
     process.on('warning', ({ message }) => warnings.push(message))
     try {
       new MemoryStore({ path: ${JSON.stringify(path)} })
       print({ error: null })
     } catch ({ code, message }) {
       setImmediate(() => print({ code, message, warnings }))
     }`,
  )
}

/** A folder of a store with one session, whose parent everybody may enter. */
async function newOpenFolder(t) {
  const path = await newFolder(t)
  fs.chmodSync(join(path, '..'), 0o755)
  const store = new MemoryStore({ path })
  await store.set('sid', { n: 1 })
  await store.close()
  return path
}

for (const [what, forbid] of [
  ['folder that may not be entered', (path) => fs.chmodSync(path, IS_ROOT ? 0o700 : 0)],
  ['folder that may not be written to', (path) => fs.chmodSync(path, IS_ROOT ? 0o755 : 0o555)],
  [
    'file that may not be read',
    (path) => {
      // The rest may: it is the file alone.
      for (const name of fs.readdirSync(path)) fs.rmSync(join(path, name), { force: name !== DATA })
      fs.writeFileSync(join(path, DATA), 'of another user')
      fs.chmodSync(join(path, DATA), IS_ROOT ? 0o600 : 0)
      if (IS_ROOT) fs.chownSync(path, NOBODY, NOBODY)
    },
  ],
]) {
  onUnix(`a ${what} is an error, and the file is where it was`, async (t) => {
    const path = await newOpenFolder(t)
    forbid(path)
    const { code, message, warnings } = await openAsNobody(t, path)
    fs.chmodSync(path, 0o700)
    t.is(code, 'EACCES')
    t.true(message.includes(path), message)
    t.regex(message, /permission denied/i)
    t.deepEqual(warnings, [])
    t.true(fs.readdirSync(path).includes(DATA))
    t.deepEqual(
      fs.readdirSync(path).filter((name) => name.includes('damaged')),
      [],
    )
  })
}

onUnix('a folder that cannot be made is an error', async (t) => {
  const path = await newFolder(t)
  fs.chmodSync(join(path, '..'), IS_ROOT ? 0o755 : 0o555)
  const { code, message } = await openAsNobody(t, join(path, 'sessions'))
  fs.chmodSync(join(path, '..'), 0o700)
  t.is(code, 'EACCES')
  t.true(message.includes(path), message)
})

/** Runs `source` in a process that has a small file system of its own, at SMALL. */
async function runOnSmallDisk(t, source) {
  const mount = await mkdtemp(join(tmpdir(), 'memorystore-rs-'))
  t.teardown(() => rm(mount, { recursive: true, force: true }))
  // Nobody else sees it, and it goes with the process.
  const own = ['--mount', ...(IS_ROOT ? [] : ['--user', '--map-root-user'])]
  const script = 'mount -t tmpfs -o size=16m memorystore-rs "$SMALL" && exec "$@"'
  const inside = (...args) =>
    run('unshare', [...own, 'sh', '-c', script, 'sh', ...args], {
      cwd: ROOT,
      env: { ...process.env, SMALL: mount },
    })
  const { code, stderr } = await inside('true')
  if (code !== 0) return { reason: `no small disk can be had here: ${stderr}` }
  return inside(process.execPath, '-e', source)
}

/** Passes where the machine does not allow the test, and says so. */
function skip(t, reason) {
  t.log(`skipped: ${reason}`)
  t.pass()
}

/** What those scripts share. */
const ON_SMALL_DISK = `
  const fs = require('node:fs')
  const { execSync } = require('node:child_process')
  const { join } = require('node:path')
  const MemoryStore = require('.')()
  const small = process.env.SMALL
  const path = join(small, 'sessions')
  const print = (result) => process.stdout.write(JSON.stringify(result))
  const tell = ({ code, message }) => ({ code, message, named: message.includes(path) })

  /** Takes all of the disk that is free. */
  const ballast = join(small, 'ballast')
  const fillUp = () => {
    const file = fs.openSync(ballast, 'w')
    for (const size of [1 << 20, 4096]) {
      try {
        for (;;) fs.writeSync(file, Buffer.alloc(size))
      } catch {}
    }
    fs.closeSync(file)
  }
  const attempt = (call) => {
    try {
      return call()
    } catch (err) {
      return { error: tell(err) }
    }
  }
`

onLinux('a disk that becomes full is an error to the callback, and no more', async (t) => {
  const { reason, code, signal, stdout, stderr } = await runOnSmallDisk(
    t,
    `${ON_SMALL_DISK}
     const work = async () => {
       const store = new MemoryStore({ path })
       const session = { filler: 'x'.repeat(3000) }
       for (let n = 0; n < 100; n++) await store.set('before-' + n, session)
       fillUp()
       let error
       let written = 0
       for (; !error && written < 20000; written++) {
         await store.set('sid-' + written, session).catch((err) => (error = tell(err)))
       }
       const read = (await store.get('before-7'))?.filler === session.filler
       await store.destroy('before-8')
       const destroyed = (await store.get('before-8')) === undefined
       fs.rmSync(ballast)
       await store.set('after', session)
       const after = (await store.get('after'))?.filler === session.filler
       const length = await store.length()
       await store.close()
       const again = new MemoryStore({ path })
       print({ error, written, read, destroyed, after, kept: (await again.length()) - length })
       await again.close()
     }
     work()`,
  )
  if (reason) return skip(t, reason)
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
  const { error, written, ...rest } = JSON.parse(stdout)
  t.is(error?.code, 'ENOSPC')
  t.true(error.named, error.message)
  t.regex(error.message, /no space left/i)
  t.true(written > 10, `${written}`)
  t.deepEqual(rest, { read: true, destroyed: true, after: true, kept: 0 })
})

const DESTROY_HALF = 'for (let n = 0; n < count; n += 2) await store.destroy(sidOf(n))'

for (const [what, length, free] of [
  ['destroying half of the sessions', 3000, DESTROY_HALF],
  // Which leaves every page half full.
  ['destroying half of small sessions', 200, DESTROY_HALF],
  ['clear', 3000, 'await store.clear()'],
]) {
  onLinux(`on a full disk, ${what} makes room for new sessions`, async (t) => {
    const { reason, code, signal, stdout, stderr } = await runOnSmallDisk(
      t,
      `${ON_SMALL_DISK}
     const { createHash } = require('node:crypto')
     const sidOf = (n) => createHash('sha256').update('' + n).digest('base64url')
     const work = async () => {
       const store = new MemoryStore({ path })
       const session = { filler: 'x'.repeat(${length}) }
       fillUp()
       let error
       let count = 0
       for (; !error && count < 20000; count++) {
         await store.set(sidOf(count), session).catch((err) => (error = tell(err)))
       }
       ${free}
       // The background thread may have some of it still.
       await store.prune()
       const most = Math.floor(count / 3)
       for (let n = 0; n < most; n++) await store.set(sidOf('new' + n), session)
       let wrong = 0
       for (let n = 0; n < most; n++) {
         if ((await store.get(sidOf('new' + n)))?.filler !== session.filler) wrong++
       }
       // Over and over, in the same room.
       for (let n = 0; n < 3 * most; n++) await store.set(sidOf('new' + (n % most)), session)
       await store.close()
       print({ code: error?.code, count, wrong })
     }
     work()`,
    )
    if (reason) return skip(t, reason)
    t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
    const report = JSON.parse(stdout)
    t.is(report.code, 'ENOSPC')
    t.true(report.count > 500, stdout)
    t.is(report.wrong, 0)
  })
}

onLinux('a copy with holes is an error where the disk is full, and whole where not', async (t) => {
  const { reason, code, signal, stdout, stderr } = await runOnSmallDisk(
    t,
    `${ON_SMALL_DISK}
     const serializer = { stringify: (body) => body, parse: (body) => body }
     const open = () => new MemoryStore({ path, serializer, mapSize: 8 << 20 })
     // Zeros are what a copy leaves out.
     const bodyOf = (n) => Buffer.alloc(20000, n % 2)
     const data = join(path, 'data.mdb')
     const blocks = () => fs.statSync(data).blocks
     const work = async () => {
       const store = open()
       for (let n = 0; n < 100; n++) await store.set('sid-' + n, bodyOf(n))
       await store.close()
       const before = blocks()
       execSync('cp --sparse=always data.mdb copy && mv copy data.mdb', { cwd: path })
       const copied = blocks()
       fillUp()
       const { error } = attempt(open)
       fs.rmSync(ballast)
       const again = open()
       fillUp()
       let right = 0
       for (let n = 0; n < 100; n++) {
         if (bodyOf(n).equals((await again.get('sid-' + n)) ?? Buffer.alloc(0))) right++
       }
       let written = 0
       for (let n = 0; n < 100; n++) {
         await again.set('sid-' + n, bodyOf(n + 1)).then(
           () => written++,
           ({ code }) => code === 'ENOSPC' || print(code),
         )
       }
       print({ error, hasHoles: copied < before, right, written })
       await again.close()
     }
     work()`,
  )
  if (reason) return skip(t, reason)
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
  const { error, hasHoles, right } = JSON.parse(stdout)
  t.true(hasHoles)
  t.is(error?.code, 'ENOSPC')
  t.true(error.named, error.message)
  t.is(right, 100)
})

onLinux('a disk that is full is an error of the constructor, and then works', async (t) => {
  const { reason, code, signal, stdout, stderr } = await runOnSmallDisk(
    t,
    `${ON_SMALL_DISK}
     const work = async () => {
       fillUp()
       const { error } = attempt(() => new MemoryStore({ path }))
       fs.rmSync(ballast)
       const store = new MemoryStore({ path })
       await store.set('sid', { n: 1 })
       print({ error, n: (await store.get('sid')).n })
       await store.close()
     }
     work()`,
  )
  if (reason) return skip(t, reason)
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
  const { error, n } = JSON.parse(stdout)
  t.is(error?.code, 'ENOSPC')
  t.true(error.named, error.message)
  t.is(n, 1)
})

onLinux('a disk that is read-only is an error of the constructor', async (t) => {
  const { reason, code, signal, stdout, stderr } = await runOnSmallDisk(
    t,
    `${ON_SMALL_DISK}
     const work = async () => {
       const store = new MemoryStore({ path })
       await store.set('sid', { n: 1 })
       await store.close()
       execSync('mount -o remount,bind,ro "$SMALL"')
       const names = () => fs.readdirSync(path).sort().join()
       const before = names()
       const { error } = attempt(() => new MemoryStore({ path }))
       print({ error, isSame: names() === before })
     }
     work()`,
  )
  if (reason) return skip(t, reason)
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
  const { error, isSame } = JSON.parse(stdout)
  t.is(error?.code, 'EROFS')
  t.true(error.named, error.message)
  t.true(isSame)
})

onUnix('nobody else may read what it makes, whatever the umask', async (t) => {
  const path = await newFolder(t)
  const modes = await succeed(
    t,
    `const fs = require('node:fs')
     process.umask(0)
     const path = ${JSON.stringify(path)}
     const store = new (require('.')())({ path: path + '/some/where' })
     const modes = {}
     const look = () => {
       for (const name of ['', ...fs.readdirSync(path, { recursive: true })]) {
         const { mode } = fs.statSync(path + '/' + name)
         modes[name.split('/').at(-1)] = (mode & 0o7777).toString(8)
       }
     }
     const work = async () => {
       await store.set('sid', {})
       look()
       await store.close()
       look()
       process.stdout.write(JSON.stringify(modes))
     }
     work()`,
  )
  const { '': top, some, where, ...files } = modes
  t.deepEqual([top, some, where], ['700', '700', '700'])
  t.true(DATA in files)
  for (const [name, mode] of Object.entries(files)) t.is(mode, '600', name)
})

onUnix('a folder that was there keeps its mode', async (t) => {
  const path = await newFolder(t)
  fs.mkdirSync(path)
  fs.chmodSync(path, 0o750)
  await new MemoryStore({ path }).close()
  t.is(fs.statSync(path).mode & 0o777, 0o750)
})

onUnix('a folder that is removed under an open store does not end the app', async (t) => {
  const path = await newFolder(t)
  const length = await succeed(
    t,
    `const path = ${JSON.stringify(path)}
     const store = new (require('.')())({ path, checkPeriod: 5 })
     const work = async () => {
       await store.set('before', { n: 1 })
       require('node:fs').rmSync(path, { recursive: true })
       for (let n = 0; n < 2000; n++) await store.set('sid-' + n, { n })
       process.stdout.write(String(await store.length()))
       await store.close()
     }
     work()`,
  )
  // Those from before it was noticed are gone.
  t.true(length <= 2001)
})

/** Stores values, and reads them when the store was closed and opened again. */
async function assertComeBack(t, options, entries) {
  const path = await newFolder(t)
  const store = new MemoryStore({ path, ...options })
  for (const [sid, value] of entries) await store.set(sid, value)
  await store.close()
  const { value: again, warnings } = watchWarnings(() => new MemoryStore({ path, ...options }))
  t.deepEqual(warnings, [])
  for (const [sid, value] of entries) {
    const found = await again.get(sid)
    t.true(isSame(found, value), `${about(sid)} was ${about(value)} and is ${about(found)}`)
  }
  t.is(await again.length(), entries.length)
  await again.close()
}

function isSame(found, value) {
  if (typeof value === 'string') return found === value
  if (!ArrayBuffer.isView(value)) return JSON.stringify(found) === JSON.stringify(value)
  return found.constructor === value.constructor && Buffer.compare(found, value) === 0
}

const about = (value) => JSON.stringify(value)?.slice(0, 60)

const TEXTS = [
  '',
  ' ',
  '{}',
  'plain',
  'Zoë Müller, ¡olé!',
  'Ада Лавлейс, 吾輩は猫である, שלום',
  '👩‍🚀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢',
  'NUL \0 and \u2028, \ufeff, \uffff',
  'a lone \ud800 surrogate',
  '\udc00',
  'the wrong way round: \ude00\ud83d',
  'x'.repeat(2 ** 20),
  'é'.repeat(2 ** 20),
  '猫'.repeat(2 ** 19),
  '\ud83d'.repeat(2 ** 18),
  // About where a body no longer fits into a page.
  ...Array.from({ length: 60 }, (_, n) => 'p'.repeat(1880 + 4 * n)),
]

test('sessions come back as they were when the file is opened again', async (t) => {
  const sessions = TEXTS.map((text) => ({ text, [text.slice(0, 9)]: 'key', cookie: COOKIE }))
  sessions.push({}, { cookie: {} }, { cookie: null }, [], ['a', { b: null }], 'text', 5, null, true)
  await assertComeBack(
    t,
    {},
    sessions.map((each, n) => [`sid-${n}`, each]),
  )
})

test('what a serializer made comes back byte for byte', async (t) => {
  const serializer = { stringify: (body) => body, parse: (body) => body }
  const every = Uint8Array.from({ length: 256 }, (_, n) => n)
  const bytes = [Buffer.from([]), Buffer.from(every), every, Buffer.alloc(2 ** 20, every)]
  // memorystore takes an empty text for no session, and so does this one.
  const bodies = [...TEXTS.filter((text) => text !== ''), ...bytes]
  await assertComeBack(
    t,
    { serializer },
    bodies.map((each, n) => [`sid-${n}`, each]),
  )
})

test('sids of any characters, up to 503 bytes, are found again', async (t) => {
  const sids = [
    ' ',
    '0',
    '__proto__',
    '../../sid',
    'NUL \0',
    'Zoë',
    '吾輩は猫である',
    '👩‍🚀',
    '\uffff',
    'x'.repeat(503),
    'é'.repeat(251),
    '猫'.repeat(167),
    'x'.repeat(502),
  ]
  await assertComeBack(
    t,
    {},
    sids.map((sid, n) => [sid, { n, cookie: COOKIE }]),
  )
})

test('a sid of more than 503 bytes is an error to set, and never found', async (t) => {
  const path = await newFolder(t)
  const store = new MemoryStore({ path })
  t.teardown(() => store.close())
  const sids = [`${SECRETS.sid}${'x'.repeat(500)}`, 'é'.repeat(252), 'x'.repeat(2 ** 20)]
  for (const sid of sids) {
    const error = await t.throwsAsync(store.set(sid, { text: SECRETS.body }))
    t.is(error.code, 'ERR_MEMORYSTORE_TOO_LARGE')
    t.regex(error.message, /503 bytes/)
    for (const secret of Object.values(SECRETS)) t.false(error.message.includes(secret))
    t.is(await store.get(sid), undefined)
    await t.notThrowsAsync(store.touch(sid, { cookie: COOKIE }))
    await t.notThrowsAsync(store.destroy(sid))
  }
  t.is(await store.length(), 0)
})

test('an empty sid is an error to set, and never found', async (t) => {
  const path = await newFolder(t)
  const store = new MemoryStore({ path })
  t.teardown(() => store.close())
  const error = await t.throwsAsync(store.set('', {}))
  t.regex(error.code, /^ERR_/)
  t.regex(error.message, /empty/)
  t.is(await store.get(''), undefined)
  await t.notThrowsAsync(store.destroy(''))
})

test('a session longer than an eighth of the file is an error, and the old one stays', async (t) => {
  const path = await newFolder(t)
  const mapSize = 2 ** 23
  const store = new MemoryStore({ path, mapSize })
  t.teardown(() => store.close())
  const session = (length) => ({ text: SECRETS.body.padEnd(length - '{"text":""}'.length) })
  const largest = session(mapSize / 8)
  await store.set(SECRETS.sid, largest)
  const error = await t.throwsAsync(store.set(SECRETS.sid, session(mapSize / 8 + 1)))
  t.is(error.code, 'ERR_MEMORYSTORE_TOO_LARGE')
  t.regex(error.message, /an eighth of the option `mapSize`/)
  t.false(error.message.includes(SECRETS.body))
  t.deepEqual(await store.get(SECRETS.sid), largest)
})
