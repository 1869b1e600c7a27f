'use strict'

// Runs ava under each Node.js version that the package supports: `node scripts/matrix.js`, with
// ava's arguments if not all tests are meant. The binaries come from the packages on npm that the
// package `node` installs; they are kept in target/.

const { execFileSync, spawnSync } = require('node:child_process')
const { mkdirSync } = require('node:fs')
const { delimiter, dirname, join } = require('node:path')

const MAJORS = [20, 22, 24, 26]
const ROOT = join(__dirname, '..')
const WINDOWS = process.platform === 'win32'

const failed = MAJORS.filter((major) => !passes(install(major), process.argv.slice(2)))
if (failed.length > 0) {
  console.error(`failed under Node.js ${failed.join(', ')}`)
  process.exitCode = 1
}

/** Installs the latest release of a major version. Returns the path of its executable. */
function install(major) {
  const prefix = join(ROOT, 'target/node', String(major))
  const name = `node-${WINDOWS ? 'win' : process.platform}-${process.arch}`
  mkdirSync(prefix, { recursive: true })
  const options = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  execFileSync('npm', ['install', '--prefix', prefix, ...options, `${name}@${major}`], {
    cwd: prefix,
    shell: WINDOWS,
    stdio: 'inherit',
  })
  return join(prefix, 'node_modules', name, 'bin', WINDOWS ? 'node.exe' : 'node')
}

function passes(node, args) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  console.log(`\nNode.js ${version}`)
  const ava = join(ROOT, 'node_modules/ava/entrypoints/cli.mjs')
  const PATH = dirname(node) + delimiter + process.env.PATH
  const env = { ...process.env, PATH }
  return spawnSync(node, [ava, ...args], { cwd: ROOT, env, stdio: 'inherit' }).status === 0
}
