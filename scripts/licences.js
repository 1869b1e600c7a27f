'use strict'

// Writes THIRD-PARTY-LICENSES.txt: the licence of everything that is compiled into the binaries, for
// all platforms together. It goes with each platform package. With --check it changes nothing, and
// fails if the file is not what it would write.

const { execFileSync } = require('node:child_process')
const { existsSync, readFileSync, readdirSync, writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { napi } = require('../package.json')

const ROOT = join(__dirname, '..')
const FILE = join(ROOT, 'THIRD-PARTY-LICENSES.txt')

/** Of a choice of licences, the first of these is taken. */
const PREFERRED = ['MIT', 'Apache-2.0', 'ISC', 'Zlib', 'Unicode-3.0', 'BSD-3-Clause']

/** C code that a crate carries, and which file of the crate has its licence. */
const BUNDLED = {
  'lmdb-master-sys': [
    { name: 'LMDB', license: 'OLDAP-2.8', files: ['COPYRIGHT', 'LICENSE'] },
    'lmdb/libraries/liblmdb',
  ],
  'tikv-jemalloc-sys': [
    { name: 'jemalloc', license: 'BSD-2-Clause', files: ['COPYING'] },
    'jemalloc',
  ],
}

const RUST = 'Copyright (c) The Rust Project Contributors'
const LINE = '-'.repeat(80)
const INTRODUCTION = `The binaries of memorystore-rs contain the following. Not every part is in the binary of every
platform: jemalloc, for example, is in none for Windows. memorystore-rs itself has the licence in
the file LICENSE.
`

const crates = compiledIn()
const text = render(crates.flatMap(entriesOf))
if (!process.argv.includes('--check')) {
  writeFileSync(FILE, text)
} else if (!existsSync(FILE) || readFileSync(FILE, 'utf8') !== text) {
  console.error('THIRD-PARTY-LICENSES.txt is out of date: run `node scripts/licences.js`')
  process.exitCode = 1
}

/** The crates that end up in the binary of any platform: no build scripts, macros or tests. */
function compiledIn() {
  const crates = new Map()
  for (const target of napi.targets) {
    const { packages, resolve } = metadata(target)
    const byId = new Map(packages.map((crate) => [crate.id, crate]))
    const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
    const left = [resolve.root]
    const seen = new Set(left)
    for (const id of left) {
      for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
        const isMacro = byId.get(pkg).targets.some(({ kind }) => kind.includes('proc-macro'))
        if (isMacro || seen.has(pkg) || !kinds.some(({ kind }) => kind === null)) continue
        seen.add(pkg)
        left.push(pkg)
        crates.set(pkg, byId.get(pkg))
      }
    }
  }
  return [...crates.values()].sort(
    (a, b) => compare(a.name, b.name) || compare(a.version, b.version),
  )
}

function metadata(target) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', target]
  const options = { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 }
  return JSON.parse(execFileSync('cargo', args, options))
}

/** A crate, and the C code in it, each with its licence's name and text. */
function entriesOf({ name, version, license, authors, manifest_path: manifest }) {
  const folder = dirname(manifest)
  const choice = license.split(/ OR |\//).map((part) => part.trim())
  const chosen = PREFERRED.find((licence) => choice.includes(licence))
  if (!chosen) throw new Error(`${name}: no preference among the licences ${license}`)

  const crate = {
    title: `${name} ${version}`,
    license: chosen,
    ...termsOf(name, chosen, folder, authors),
  }
  const [bundled, place] = BUNDLED[name] ?? []
  if (!bundled) return [crate]
  const texts = bundled.files.map((file) => readFileSync(join(folder, place, file), 'utf8').trim())
  const title = `${bundled.name}, in ${name} ${version}`
  return [crate, { title, license: bundled.license, notice: '', terms: texts.join('\n\n') }]
}

/** What a crate's own file says: the lines on the copyright apart, so that texts can be shared. */
function termsOf(name, licence, folder, authors) {
  const file = fileOf(licence, folder)
  if (!file && authors.length === 0) throw new Error(`${name}: neither a licence nor authors`)
  if (!file) return { notice: `by ${authors.join(', ')}`, terms: undefined }
  const whole = readFileSync(join(folder, file), 'utf8').replaceAll('\r', '').trim()
  if (licence !== 'MIT') return { notice: '', terms: whole }
  const start = whole.indexOf('Permission is hereby granted')
  if (start < 0) throw new Error(`${name}: ${file} is not the MIT license`)
  const notice = whole
    .slice(0, start)
    .split('\n')
    .filter((line) => /copyright/i.test(line))
  return { notice: notice.map((line) => line.trim()).join('\n'), terms: whole.slice(start) }
}

function fileOf(licence, folder) {
  const word = licence.split('-')[0].toLowerCase()
  const files = readdirSync(folder).filter((name) => /^(un)?licen[cs]e/i.test(name))
  const exact = files.find((name) => name.toLowerCase().startsWith(`license-${word}`))
  return exact ?? files.find((name) => /^licen[cs]e(\.(md|txt))?$/i.test(name))
}

function render(entries) {
  const rust = { title: 'The Rust standard library', license: 'MIT', notice: RUST }
  const groups = new Map()
  for (const entry of [...entries, rust]) {
    const terms = entry.terms ?? standardTerms(entry.license)
    const key = `${entry.license}\n${terms.replace(/\s+/g, ' ')}`
    if (!groups.has(key)) groups.set(key, { license: entry.license, terms, entries: [] })
    groups.get(key).entries.push(entry)
  }
  const sections = [...groups.values()].map(({ license, terms, entries: those }) => {
    const names = those.map(({ title, notice }) => [title, ...indent(notice)].join('\n'))
    return `${LINE}\n${license}\n${LINE}\n\n${names.join('\n')}\n\n${terms}\n`
  })
  return `${INTRODUCTION}\n${sections.join('\n')}`
}

/** The text of a licence, from a crate that has it. */
function standardTerms(licence) {
  for (const { name, manifest_path: manifest } of crates) {
    const folder = dirname(manifest)
    const file = readdirSync(folder).find((entry) => {
      return entry.toLowerCase().startsWith(`license-${licence.split('-')[0].toLowerCase()}`)
    })
    if (file) return termsOf(name, licence, folder, []).terms
  }
  throw new Error(`no crate has the text of ${licence}`)
}

function indent(notice) {
  return notice === '' ? [] : notice.split('\n').map((line) => `    ${line}`)
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}
