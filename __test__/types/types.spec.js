'use strict'

// The types in index.d.ts: every project beside this file has to compile, under each kind of
// module resolution. TypeScript 7 has no way to turn esModuleInterop off, so TypeScript 5 compiles
// the projects that do.

const { cp, mkdir, mkdtemp, rm, writeFile } = require('node:fs/promises')
const { readdirSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { dirname, join } = require('node:path')
const test = require('ava')
const { ROOT, run } = require('../helpers/process.js')

const TYPESCRIPT_7 = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc')
const TYPESCRIPT_5 = join(dirname(require.resolve('typescript5/package.json')), 'bin/tsc')

const PROJECT = /^tsconfig(?:\.(?!base)([\w-]+))?\.json$/

for (const file of readdirSync(__dirname)) {
  const match = PROJECT.exec(file)
  if (match === null) continue
  const name = match[1] ?? 'nodenext'
  const compiler = name.endsWith('-no-interop') ? TYPESCRIPT_5 : TYPESCRIPT_7

  test.serial(`the types compile under ${name}`, (t) => {
    return compile(t, compiler, join(__dirname, file))
  })
}

test('the types compile where express-session has none', async (t) => {
  const app = await mkdtemp(join(tmpdir(), 'memorystore-rs-types-'))
  t.teardown(() => rm(app, { recursive: true }))
  await installTypes(app, ['@types/node', 'undici-types'])
  await cp(join(__dirname, 'bare.cts'), join(app, 'bare.cts'))
  await cp(join(__dirname, 'tsconfig.base.json'), join(app, 'tsconfig.base.json'))
  await writeFile(
    join(app, 'tsconfig.json'),
    JSON.stringify({
      extends: './tsconfig.base.json',
      compilerOptions: { module: 'nodenext' },
      files: ['bare.cts'],
    }),
  )

  await compile(t, TYPESCRIPT_7, app)
})

async function compile(t, compiler, project) {
  const { code, stdout } = await run(process.execPath, [compiler, '-p', project])
  t.is(code, 0, stdout)
}

/** Makes `app` a place where this package is installed, and of other packages just `names`. */
async function installTypes(app, names) {
  const own = join(app, 'node_modules/memorystore-rs')
  await mkdir(own, { recursive: true })
  await cp(join(ROOT, 'package.json'), join(own, 'package.json'))
  await cp(join(ROOT, 'index.d.ts'), join(own, 'index.d.ts'))
  for (const name of names) {
    await cp(join(ROOT, 'node_modules', name), join(app, 'node_modules', name), { recursive: true })
  }
}
