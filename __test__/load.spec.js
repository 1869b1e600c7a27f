'use strict'

// Loading the native binary: what a user reads where there is none, and MEMORYSTORE_RS_BINARY,
// which names one.

const { cp, mkdtemp, rm, writeFile } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')
const { ROOT, runScript } = require('./helpers/process.js')

/** The package as it is without a platform package: the JavaScript, and debug. */
let bare

test.before(async () => {
  bare = await mkdtemp(join(tmpdir(), 'memorystore-rs-load-'))
  const names = ['index.js', 'lib', 'binding.js', 'package.json']
  const modules = ['node_modules/debug', 'node_modules/ms']
  for (const name of [...names, ...modules]) {
    await cp(join(ROOT, name), join(bare, name), { recursive: true })
  }
})

test.after.always(() => bare && rm(bare, { recursive: true }))

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
  t.regex(message, /Delete node_modules and\s+package-lock\.json and run `npm install`/)
  t.regex(message, /MEMORYSTORE_RS_BINARY/)
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
