'use strict'

// Makes a checkout ready to be published, in the workflow:
//
//     node scripts/prepare-release.js https://github.com/OWNER/NAME [FOLDER]
//
// Each platform package gets the licences and must have its binary; all packages get the address
// of the repository that publishes them, which provenance needs; and the root package gets the
// platform packages as optional dependencies. Until then they are left out: npm would look for
// packages that are not there.

const { execFileSync } = require('node:child_process')
const { copyFileSync, readFileSync, readdirSync, statSync, writeFileSync } = require('node:fs')
const { join, resolve } = require('node:path')

const [address, place = join(__dirname, '..')] = process.argv.slice(2)
const ROOT = resolve(place)
const CLI = join(__dirname, '../node_modules/@napi-rs/cli/cli.mjs')
const LICENCES = ['LICENSE', 'THIRD-PARTY-LICENSES.txt']

if (!/^https:\/\/[^/]+\/[^/]+\/[^/]+$/.test(address ?? '')) {
  throw new Error('the first argument is the address of the repository: https://HOST/OWNER/NAME')
}
const platforms = readdirSync(join(ROOT, 'npm')).map((name) => join(ROOT, 'npm', name))

for (const folder of platforms) {
  const { main } = read(folder)
  if (!(statSync(join(folder, main), { throwIfNoEntry: false })?.size > 0)) {
    throw new Error(`${folder} has no binary ${main}`)
  }
  for (const name of LICENCES) copyFileSync(join(ROOT, name), join(folder, name))
}
for (const folder of [ROOT, ...platforms]) {
  write(folder, {
    ...read(folder),
    homepage: `${address}#readme`,
    bugs: `${address}/issues`,
    repository: { type: 'git', url: `git+${address}.git` },
  })
}
const options = ['--no-gh-release', '--skip-optional-publish']
execFileSync(process.execPath, [CLI, 'prepublish', ...options], { cwd: ROOT, stdio: 'inherit' })

function read(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

function write(folder, manifest) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}
