'use strict'

// Before a build: says in one sentence that Rust is missing or too old. A cargo that is older than
// the edition would fail with a message that names neither the version it is nor the one it needs.

const { execFileSync } = require('node:child_process')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')

const cargoToml = readFileSync(join(__dirname, '../Cargo.toml'), 'utf8')
const needed = /^rust-version = "([\d.]+)"/m.exec(cargoToml)[1]
const found = installed()

if (found === undefined || isOlder(found, needed)) {
  const what = found === undefined ? 'there is none' : `this is ${found}`
  console.error(
    `memorystore-rs needs Rust ${needed} or later to be built, and ${what}. ` +
      'Install it from https://rustup.rs, or run `rustup update` if you have rustup.',
  )
  process.exitCode = 1
}

/** The version of the compiler that cargo would use, or undefined if there is none. */
function installed() {
  try {
    const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
    const output = execFileSync(process.env.RUSTC || 'rustc', ['--version'], options)
    return /^rustc (\d+\.\d+\.\d+)/.exec(output)?.[1]
  } catch {
    return undefined
  }
}

function isOlder(version, than) {
  const [major, minor] = version.split('.').map(Number)
  const [otherMajor, otherMinor] = than.split('.').map(Number)
  return major === otherMajor ? minor < otherMinor : major < otherMajor
}
