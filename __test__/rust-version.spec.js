'use strict'

// The oldest Rust that builds the addon: it is said where people look for it, and a compiler that
// is older, or missing, is told so before anything is compiled.

const { chmod, mkdtemp, readFile, rm, writeFile } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')
const manifest = require('../package.json')
const { ROOT, run } = require('./helpers/process.js')

const unlessWindows = process.platform === 'win32' ? test.skip : test

let oldest
test.before(async () => {
  const cargoToml = await readFile(join(ROOT, 'Cargo.toml'), 'utf8')
  oldest = /^rust-version = "(1\.\d+)"/m.exec(cargoToml)[1]
})

for (const page of ['README.md', 'CONTRIBUTING.md']) {
  test(`${page} names the oldest Rust`, async (t) => {
    const text = await readFile(join(ROOT, page), 'utf8')
    const named = [...text.matchAll(/Rust[^\n]*\((1\.\d+) or later\)/g)].map(
      ([, version]) => version,
    )
    t.deepEqual(named, [oldest])
  })
}

test('a build begins with the look at the compiler', (t) => {
  t.is(manifest.scripts.prebuild, 'node scripts/check-rust.js')
})

test('without Rust, a build says which one it needs', async (t) => {
  const { code, stderr } = await check(join(ROOT, 'no-such-program'))
  t.is(code, 1)
  t.regex(stderr, new RegExp(`needs Rust ${oldest} or later to be built, and there is none`))
})

unlessWindows('a compiler that is too old is told so', async (t) => {
  const minor = Number(oldest.split('.')[1])
  const { code, stderr } = await withCompiler(`1.${minor - 1}.3`, check)
  t.is(code, 1)
  t.regex(stderr, new RegExp(`needs Rust ${oldest} or later.*this is 1\\.${minor - 1}\\.3`))
})

unlessWindows('the oldest compiler and a new one may build', async (t) => {
  for (const version of [`${oldest}.0`, '1.100.0', '2.0.0-nightly']) {
    t.deepEqual(await withCompiler(version, check), { code: 0, stderr: '' }, version)
  }
})

/** Runs the check with a compiler. */
async function check(RUSTC) {
  const script = join(ROOT, 'scripts/check-rust.js')
  const { code, stderr } = await run(process.execPath, [script], { env: { ...process.env, RUSTC } })
  return { code, stderr }
}

/** Calls `fn` with a program that says it is a version of rustc. */
async function withCompiler(version, fn) {
  const folder = await mkdtemp(join(tmpdir(), 'memorystore-rs-rustc-'))
  const file = join(folder, 'rustc')
  await writeFile(file, `#!/bin/sh\necho 'rustc ${version} (0123456789 2026-01-01)'\n`)
  await chmod(file, 0o755)
  try {
    return await fn(file)
  } finally {
    await rm(folder, { recursive: true })
  }
}
