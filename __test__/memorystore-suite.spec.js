'use strict'

/**
 * memorystore 1.6.8's own tests, as its npm package ships them, run against this package. The
 * file is copied, not linked, into a folder where its `require('../')` finds this package. The
 * time it waits for is faked.
 */

const { copyFile, mkdir, mkdtemp, rm, writeFile } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { dirname, join } = require('node:path')
const test = require('ava')

const { ROOT, run } = require('./helpers/process.js')

const SUITE = join(dirname(require.resolve('memorystore/package.json')), 'test', 'store.js')
const MOCHA = join(dirname(require.resolve('mocha/package.json')), 'bin', 'mocha.js')

async function layOut(folder) {
  await mkdir(join(folder, 'test'))
  await copyFile(SUITE, join(folder, 'test', 'store.js'))
  await writeFile(join(folder, 'index.js'), `module.exports = require(${JSON.stringify(ROOT)})\n`)
}

test("memorystore's own test suite passes unmodified, all 21 tests", async (t) => {
  t.is(require('memorystore/package.json').version, '1.6.8')
  const folder = await mkdtemp(join(tmpdir(), 'memorystore-suite-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await layOut(folder)

  const time = ['--require', require.resolve('./helpers/mocha-time.js'), '--timeout', '0']
  const args = [MOCHA, '--check-leaks', '--no-exit', ...time, '--reporter', 'json', 'test/store.js']
  const { code, stdout, stderr } = await run(process.execPath, args, { cwd: folder })

  t.is(code, 0, stdout + stderr)
  const { stats, failures } = JSON.parse(stdout)
  t.deepEqual(failures, [])
  t.is(stats.passes, 21)
  t.is(stats.pending, 0)
})
