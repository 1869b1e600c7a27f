'use strict'

// What `npm version` does not do: gives the version of package.json to Cargo.toml, Cargo.lock and
// the platform packages, and the changes in CHANGELOG.md their heading. npm runs it before it
// commits.

const { execFileSync } = require('node:child_process')
const { readFileSync, writeFileSync } = require('node:fs')
const { join, resolve } = require('node:path')

const ROOT = resolve(process.argv[2] ?? join(__dirname, '..'))
const { name, version } = JSON.parse(read('package.json'))

replace('Cargo.toml', /^version = ".*"$/m, `version = "${version}"`)
replace('Cargo.lock', new RegExp(`(name = "${name}"\nversion = )".*"`), `$1"${version}"`)
execFileSync(process.execPath, [join(__dirname, 'platform-packages.js'), ROOT])

const heading = `## [${version}] - ${new Date().toISOString().slice(0, 10)}`
if (!read('CHANGELOG.md').includes(`\n## [${version}]`)) {
  replace('CHANGELOG.md', /^## \[Unreleased\]$/m, `## [Unreleased]\n\n${heading}`)
}

function read(file) {
  return readFileSync(join(ROOT, file), 'utf8')
}

function replace(file, pattern, replacement) {
  const text = read(file)
  if (!pattern.test(text)) throw new Error(`${file} has no ${pattern}`)
  writeFileSync(join(ROOT, file), text.replace(pattern, replacement))
}
