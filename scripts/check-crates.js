'use strict'

// Checks that every crate is from crates.io, has a licence that deny.toml allows, and needs no newer
// Rust than Cargo.toml names. The first two are what of `cargo deny check` works without the network;
// the workflow runs all of it.

const { execFileSync } = require('node:child_process')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')

const ROOT = join(__dirname, '..')
const CRATES_IO = 'registry+https://github.com/rust-lang/crates.io-index'

const allowed = /^allow = (\[.*\])$/m.exec(readFileSync(join(ROOT, 'deny.toml'), 'utf8'))[1]
const licences = new Set(JSON.parse(allowed))

/** Whether an SPDX expression is satisfied by licences that are allowed. */
function isAllowed(expression) {
  const isSatisfied = (choice) => licences.has(choice.replace(/ WITH .*/, '').trim())
  return expression
    .replace(/[()]/g, '')
    .replaceAll('/', ' OR ')
    .split(' AND ')
    .every((part) => part.split(' OR ').some(isSatisfied))
}

const args = ['metadata', '--format-version', '1', '--locked']
const options = { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 }
const { packages } = JSON.parse(execFileSync('cargo', args, options))
const crates = packages.filter(({ source }) => source !== null)
const wrong = crates.filter(({ source, license }) => source !== CRATES_IO || !isAllowed(license))
for (const { name, version, license, source } of wrong) {
  console.error(`${name} ${version}: licence ${license}, from ${source}`)
}

// Clippy checks what our own code uses of the standard library.
const oldest = packages.find(({ source }) => source === null).rust_version
const newer = crates.filter(({ rust_version: version }) => version && isLater(version, oldest))
for (const { name, version, rust_version: needed } of newer) {
  console.error(`${name} ${version} needs Rust ${needed}, and Cargo.toml says ${oldest}`)
}

if (wrong.length + newer.length > 0) process.exitCode = 1
else console.log(`${crates.length} crates: licences, sources and rust-version are as they should`)

function isLater(version, than) {
  const minor = (text) => Number(text.split('.')[1])
  return minor(version) > minor(than)
}
