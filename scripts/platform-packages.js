'use strict'

// Writes npm/, the packages of the binaries: what `napi create-npm-dirs` makes of package.json, and
// what that leaves out. `node scripts/platform-packages.js FOLDER` does it for the package.json of
// another folder.

const { execFileSync } = require('node:child_process')
const { readFileSync, readdirSync, writeFileSync } = require('node:fs')
const { join, resolve } = require('node:path')

const ROOT = resolve(process.argv[2] ?? join(__dirname, '..'))
const CLI = join(__dirname, '../node_modules/@napi-rs/cli/cli.mjs')

execFileSync(process.execPath, [CLI, 'create-npm-dirs'], { cwd: ROOT })

for (const name of readdirSync(join(ROOT, 'npm'))) {
  const folder = join(ROOT, 'npm', name)
  const made = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const [binary] = made.files
  const manifest = {
    ...made,
    description: `The binary of memorystore-rs for ${name}`,
    type: 'commonjs',
    files: [binary, 'THIRD-PARTY-LICENSES.txt'],
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  writeFileSync(join(folder, 'README.md'), readme(manifest))
}

function readme({ name, description }) {
  return `# \`${name}\`

${description}. Install [memorystore-rs](https://www.npmjs.com/package/memorystore-rs); npm then chooses the package of your platform.

\`THIRD-PARTY-LICENSES.txt\` has the licences of what is compiled in.
`
}
