'use strict'

// Loading the native binary: what a user reads where there is none, and MEMORYSTORE_RS_BINARY,
// which names one.

const { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { basename, join, parse } = require('node:path')
const test = require('ava')
const { ROOT, runScript } = require('./helpers/process.js')

/** The package as it is without a platform package: the JavaScript, and debug. */
let bare

/** What to use where no binary can be loaded. */
const WAY_OUT = /memorystore keeps sessions in memory[^]*require\('memorystore'\)\(session\)/

/** For binaries that do not load. */
let scratch

test.before(async () => {
  bare = await mkdtemp(join(tmpdir(), 'memorystore-rs-load-'))
  scratch = await mkdtemp(join(tmpdir(), 'memorystore-rs-load-'))
  const names = ['index.js', 'lib', 'binding.js', 'package.json']
  const modules = ['node_modules/debug', 'node_modules/ms']
  for (const name of [...names, ...modules]) {
    await cp(join(ROOT, name), join(bare, name), { recursive: true })
  }
})

test.after.always(async () => {
  for (const folder of [bare, scratch]) if (folder) await rm(folder, { recursive: true })
})

test('without a binary, require says for which platform there is none', async (t) => {
  const { code, message } = await load(bare)

  t.is(code, 'ERR_MEMORYSTORE_NO_BINARY')
  t.true(message.startsWith('memorystore-rs: there is no native binary for '), message)
  for (const part of [process.platform, process.arch, libc(), process.version]) {
    t.true(message.includes(part), part)
  }
})

test('without a binary, require says what to do', async (t) => {
  const { message } = await load(bare)

  t.regex(message, /--omit=optional/)
  t.regex(message, /https:\/\/github\.com\/npm\/cli\/issues\/4828/)
  t.regex(message, /deleting node_modules and\s+package-lock\.json and running `npm install`/)
  t.regex(message, /MEMORYSTORE_RS_BINARY/)
})

test('without a binary, require names memorystore as the way out', async (t) => {
  const { message } = await load(bare)

  t.regex(message, WAY_OUT)
})

test('without a binary, the cause names what was looked for', async (t) => {
  const { causes } = await load(bare)

  t.true(
    causes.some((cause) => cause.includes('@memorystore-rs/binding-')),
    causes.join('\n'),
  )
})

test('MEMORYSTORE_RS_BINARY names the binary to load', async (t) => {
  const { loaded } = await load(bare, builtBinary())

  t.true(loaded)
})

test('MEMORYSTORE_RS_BINARY goes before the binary of the package', async (t) => {
  const file = join(bare, 'missing.node')
  const { code } = await load(ROOT, file)

  t.is(code, 'ERR_MEMORYSTORE_NO_BINARY')
})

test('MEMORYSTORE_RS_BINARY may be relative to the working directory', async (t) => {
  await cp(builtBinary(), join(bare, 'here.node'))
  const { loaded } = await load(bare, 'here.node', { cwd: bare })

  t.true(loaded)
})

const WRONG = {
  'does not exist': { name: 'missing.node' },
  'is no library': { name: 'text.node', content: 'text' },
  'is another module': { name: 'other.js', content: 'module.exports = {}' },
}

for (const [what, { name, content }] of Object.entries(WRONG)) {
  test(`a MEMORYSTORE_RS_BINARY that ${what} is named by the error`, async (t) => {
    const file = join(bare, name)
    if (content !== undefined) await writeFile(file, content)
    const { code, message, causes } = await load(bare, file)

    t.is(code, 'ERR_MEMORYSTORE_NO_BINARY')
    t.true(message.includes('MEMORYSTORE_RS_BINARY'), message)
    t.true(message.includes(file), message)
    t.true(message.includes(process.version), message)
    t.false(message.includes('--omit=optional'), 'that does not help here')
    t.true(causes.length > 0)
  })
}

// ---- platforms without a binary

/** Preloaded: another platform, as far as JavaScript can tell. */
async function disguise(platform, arch) {
  const folder = await mkdtemp(join(scratch, 'disguise-'))
  const file = join(folder, 'disguise.js')
  const lines = Object.entries({ platform, arch }).map(
    ([name, value]) => `Object.defineProperty(process, '${name}', { value: '${value}' })`,
  )
  await writeFile(file, lines.join('\n'))
  return { args: ['--require', file] }
}

for (const [platform, arch] of [
  ['linux', 'riscv64'],
  ['linux', 'arm'],
  ['win32', 'ia32'],
  ['freebsd', 'x64'],
  ['sunos', 'x64'],
]) {
  test(`on ${platform}-${arch}, require says that no binary is published, and the way out`, async (t) => {
    const { code, message } = await load(bare, '', await disguise(platform, arch))

    t.is(code, 'ERR_MEMORYSTORE_NO_BINARY')
    const [first, second] = message.split('\n')
    t.regex(first, /there is no native binary for this platform: none is published, so build it/)
    t.true(second.startsWith(`This is ${platform}-${arch}`), second)
    t.true(second.includes(process.version), second)
    t.regex(message, /set MEMORYSTORE_RS_BINARY to the\s+path of the \.node file/)
    t.regex(message, WAY_OUT)
    t.notRegex(message, /npm install|omit=optional/)
  })
}

test('the error needs no process.report: WebContainers and other runtimes may have none', async (t) => {
  const file = join(scratch, 'no-report.js')
  await writeFile(file, `Object.defineProperty(process, 'report', { value: undefined })`)
  const { code, message } = await load(bare, '', { args: ['--require', file] })

  t.is(code, 'ERR_MEMORYSTORE_NO_BINARY')
  t.true(message.includes(`This is ${process.platform}-${process.arch}, Node.js`), message)
  t.regex(message, WAY_OUT)
})

test('a platform is called published if and only if npm/ has its package', async (t) => {
  const names = await readdir(join(ROOT, 'npm'))
  const published = new Set(names.map((name) => name.split('-').slice(0, 2).join('-')))
  t.true(published.size >= 6)
  const { stdout, stderr } = await runScript(
    `const set = (name, value) => Object.defineProperty(process, name, { value, configurable: true })
     const called = []
     for (const platform of ['linux', 'darwin', 'win32', 'android', 'freebsd']) {
       for (const arch of ['x64', 'arm64', 'ia32', 'arm', 'ppc64', 's390x', 'loong64']) {
         set('platform', platform)
         set('arch', arch)
         try {
           new (require(${JSON.stringify(bare)})())()
         } catch (error) {
           if (/npm install/.test(error.message)) called.push(platform + '-' + arch)
         }
       }
     }
     console.log(JSON.stringify(called))`,
    { env: { MEMORYSTORE_RS_BINARY: '' } },
  )
  t.is(stderr, '')
  t.deepEqual(JSON.parse(stdout).sort(), [...published].sort())
})

test('the way out has the same API: memorystore runs where this package cannot be loaded', async (t) => {
  const { stdout, stderr } = await runScript(
    `const session = require('express-session')
     const store = new (require('memorystore')(session))({ checkPeriod: 86400000 })
     store.set('sid', { cookie: {}, views: 1 }, () =>
       store.get('sid', (err, { views }) => {
         console.log(views)
         store.stopInterval()
       }))`,
    { args: ['--no-addons'] },
  )
  t.is(stdout.trim(), '1', stderr)
})

// ---- a binary that is there

/** A copy of the built binary, changed, in a folder of its own: tests run at the same time. */
async function changedBinary(name, change) {
  const file = join(await mkdtemp(join(scratch, 'changed-')), name)
  await writeFile(file, change(await readFile(builtBinary())))
  return file
}

/** The last two digits, so that the length stays. */
const withLaterGlibc = (binary) =>
  Buffer.from(binary.toString('latin1').replace(/GLIBC_2\.\d\d/g, 'GLIBC_9.99'), 'latin1')

const UNLOADABLE = {
  'is a Git LFS pointer': {
    file: () => changedBinary('pointer.node', () => 'version https://git-lfs.github.com/spec/v1'),
    reason: /is damaged or not a library: /,
    isReplaced: true,
  },
  'was cut off': {
    file: () => changedBinary('cut.node', (binary) => binary.subarray(0, 50)),
    reason: /is damaged or not a library|cannot be loaded/,
    isReplaced: true,
  },
  'is for 32 bits': {
    file: () =>
      changedBinary('32.node', (binary) => {
        binary[4] = 1
        return binary
      }),
    reason: /is for another platform: /,
    isReplaced: true,
  },
  'is for a later glibc': {
    file: () => changedBinary('glibc.node', withLaterGlibc),
    reason: /needs GLIBC_9\.99, which this system does not have: use a system/,
    isLasting: true,
  },
  'is another addon': {
    file: () => changedBinary('other.js', () => 'module.exports = {}'),
    reason: /is not that of memorystore-rs: it exports no createStore\.$/,
  },
  'is not loaded with --no-addons': {
    file: builtBinary,
    flags: ['--no-addons'],
    reason: /this process must not load addons: start Node\.js without --no-addons/,
    isLasting: true,
  },
}

const isGlibc = process.platform === 'linux' && libc() !== 'musl'

for (const [what, { file, flags, reason, isReplaced, isLasting }] of Object.entries(UNLOADABLE)) {
  const testHere = isGlibc ? test : test.skip

  testHere(`a MEMORYSTORE_RS_BINARY that ${what} is told so in the first line`, async (t) => {
    const path = await file()
    const { code, message } = await load(bare, path, { args: flags })
    t.is(code, 'ERR_MEMORYSTORE_NO_BINARY')
    const [first, second, third, fourth] = message.split('\n')
    t.true(first.startsWith('memorystore-rs: the file that MEMORYSTORE_RS_BINARY names '), first)
    t.regex(first, reason)
    if (isReplaced)
      t.true(
        first.endsWith(
          ': name another file, or unset the variable to load the binary that was installed.',
        ),
        first,
      )
    t.is(second, path)
    t.true(third.includes(process.version))
    t.true(fourth.startsWith('The system says: '))
    t.notRegex(message, /omit=optional|there is no native binary/)
    t.is(WAY_OUT.test(message), isLasting === true)
  })

  testHere(`an installed binary that ${what} is not reported as missing`, async (t) => {
    const app = await mkdtemp(join(tmpdir(), 'memorystore-rs-load-'))
    t.teardown(() => rm(app, { recursive: true }))
    await cp(bare, app, { recursive: true })
    const path = await file()
    const name = `memorystore-rs.${platformName()}`
    if (path.endsWith('.js')) {
      const folder = join(app, `node_modules/@memorystore-rs/binding-${parse(platformName()).name}`)
      await mkdir(folder, { recursive: true })
      await cp(path, join(folder, 'index.js'))
      await writeFile(join(folder, 'package.json'), '{"version":"0.1.0"}')
    } else {
      await cp(path, join(app, name))
    }
    const { code, message } = await load(app, '', { args: flags })
    t.is(code, 'ERR_MEMORYSTORE_NO_BINARY')
    const [first] = message.split('\n')
    t.true(first.startsWith('memorystore-rs: the native binary '), first)
    t.regex(first, reason)
    if (isReplaced) t.true(first.endsWith(': install the package again on this system.'), first)
    t.notRegex(message, /omit=optional|there is no native binary/)
    t.is(WAY_OUT.test(message), isLasting === true)
  })
}

/** As binding.js has it in the names of files. */
function platformName() {
  return basename(builtBinary()).replace('memorystore-rs.', '')
}

/** Requires the package in `folder`. Resolves with the error's parts, or with `loaded`. */
async function load(folder, binary = '', options = {}) {
  const { stdout, stderr } = await runScript(
    `const report = (result) => console.log(JSON.stringify(result))
     try {
       new (require(${JSON.stringify(folder)})())()
       report({ loaded: true })
     } catch (error) {
       const causes = []
       for (let { cause } = error; cause; cause = cause.cause) causes.push(cause.message)
       report({ code: error.code, message: error.message, causes })
     }`,
    { env: { MEMORYSTORE_RS_BINARY: binary }, ...options },
  )
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}

/** The file that the tests run on. */
function builtBinary() {
  require('..')
  return Object.keys(require.cache).find((name) => name.endsWith('.node'))
}

function libc() {
  if (process.platform !== 'linux') return ''
  return process.report.getReport().header.glibcVersionRuntime ?? 'musl'
}
