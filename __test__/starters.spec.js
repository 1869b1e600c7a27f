'use strict'

/**
 * The starters in example/ and the table in docs/works-with.md, as far as no network is needed:
 * scripts/works-with.js installs the starters, and what the table names, from the registry.
 */

const { execFileSync } = require('node:child_process')
const { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs')
const { realpathSync, symlinkSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')
const { visitServer } = require('../scripts/works-with/visit.js')
const { ROOT, run } = require('./helpers/process.js')

const MODULES = realpathSync(join(ROOT, 'node_modules'))
const APPS = join(ROOT, 'scripts/works-with/apps')

/** A folder whose packages are those of the checkout, and the checkout itself. */
function createApp(t, from) {
  const folder = mkdtempSync(join(tmpdir(), 'memorystore-rs-starter-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  if (from) cpSync(from, folder, { recursive: true, filter: isSource })
  mkdirSync(join(folder, 'node_modules'))
  for (const name of readdirSync(MODULES)) {
    symlinkSync(join(MODULES, name), join(folder, 'node_modules', name), 'junction')
  }
  symlinkSync(ROOT, join(folder, 'node_modules/memorystore-rs'), 'junction')
  return folder
}

function isSource(path) {
  return !/node_modules|dist$/.test(path.slice(ROOT.length))
}

// NestJS is not installed here: scripts/works-with.js builds and visits that starter.
for (const name of ['express-typescript', 'fastify']) {
  test(`the starter ${name} compiles, logs in, counts, logs out, and needs a secret`, async (t) => {
    const folder = createApp(t, join(ROOT, 'example', name))
    const tsc = join(MODULES, 'typescript5/bin/tsc')
    const { code, stdout } = await run(process.execPath, [tsc], { cwd: folder })
    t.is(code, 0, stdout)

    const args = ['dist/server.js']
    const env = { PORT: '0', SESSION_SECRET: 'a secret of more than 32 characters' }
    await visitServer(process.execPath, args, { cwd: folder, env })

    const without = { ...process.env, ...env, SESSION_SECRET: '' }
    const refused = await run(process.execPath, args, { cwd: folder, env: without })
    t.is(refused.code, 1)
    t.regex(refused.stderr, /set SESSION_SECRET/)
  })
}

test('all starters take released versions of what they depend on, and this one', (t) => {
  const { version } = require('../package.json')
  for (const name of ['express-typescript', 'nestjs', 'fastify']) {
    const { dependencies } = require(join(ROOT, 'example', name, 'package.json'))
    t.is(dependencies['memorystore-rs'], `^${version}`, name)
  }
})

test('node:test with mocked timers ends by itself although stores are left open', async (t) => {
  const folder = createApp(t)
  cpSync(join(APPS, 'tests/node.test.cjs'), join(folder, 'store.test.cjs'))
  const env = { ...process.env }
  delete env.NODE_TEST_CONTEXT
  const { code, stdout } = await run(process.execPath, ['--test'], { cwd: folder, env })
  t.is(code, 0, stdout)
  t.regex(stdout, /pass 4\n/)
})

test('docs/works-with.md has each row of the script, with a version and a date', (t) => {
  const script = join(ROOT, 'scripts/works-with.js')
  const titles = execFileSync(process.execPath, [script, '--list', '--titles'], {
    encoding: 'utf8',
  })
  const page = readFileSync(join(ROOT, 'docs/works-with.md'), 'utf8')
  const rows = [...page.matchAll(/^\| (.+?) +\| (\S.*?) +\| \d{4}-\d\d-\d\d \|$/gm)]
  const inPage = rows.map(([, title, version]) => {
    t.regex(version, /^(Node\.js )?\d+\.\d+\.\d+/, title)
    return title.replace(/^\[(.*)\]\(.*\)$/, '$1')
  })
  t.deepEqual(inPage.sort(), titles.trim().split('\n').sort())
})
