'use strict'

/** Package managers: install, require, and an app that is visited. */

const { mkdirSync } = require('node:fs')
const { succeed } = require('../processes.js')
const { visitServer } = require('../visit.js')

const ENV = { YARN_ENABLE_IMMUTABLE_INSTALLS: '0', YARN_ENABLE_TELEMETRY: '0' }

module.exports = [
  {
    name: 'npm',
    title: 'npm',
    packages: ['express', 'express-session'],
    async check(app) {
      await visited(app, process.execPath, ['express.cjs'])
      return (await succeed('npm', ['--version'])).stdout.trim()
    },
  },
  manager('pnpm', 'pnpm', 'pnpm', 'bin/pnpm.mjs', {
    install: ['install', '--no-frozen-lockfile'],
  }),
  manager('yarn', 'Yarn Classic', 'yarn@1', 'bin/yarn.js', {
    install: ['install', '--non-interactive'],
  }),
  manager('yarn-pnp', 'Yarn with Plug’n’Play', '@yarnpkg/cli-dist', 'bin/yarn.js', {
    install: ['install'],
    run: ['node'],
    files: { '.yarnrc.yml': 'nodeLinker: pnp\nenableGlobalCache: false\n', 'yarn.lock': '' },
  }),
]

function manager(name, title, tool, program, { install, run = [], files = {} }) {
  const folder = tool.replace(/(.)@.*/, '$1')
  return {
    name,
    title,
    async check(app) {
      const tools = app.path('../tools', name)
      mkdirSync(tools, { recursive: true })
      const quiet = ['--no-audit', '--no-fund', '--prefer-offline']
      await succeed('npm', ['install', '--prefix', tools, ...quiet, tool], { cwd: tools })
      const cli = `${tools}/node_modules/${folder}/${program}`
      const dependencies = {
        'memorystore-rs': `file:${app.packed.root}`,
        express: '5',
        'express-session': '1',
      }
      app.write('package.json', JSON.stringify({ name: 'app', private: true, dependencies }))
      for (const [file, content] of Object.entries(files)) app.write(file, content)
      await succeed(process.execPath, [cli, ...install], { cwd: app.folder, env: ENV })
      const start = run.length > 0 ? [cli, ...run, 'express.cjs'] : ['express.cjs']
      await visited(app, process.execPath, start)
      return (await succeed(process.execPath, [cli, '--version'])).stdout.trim()
    },
  }
}

function visited(app, file, args) {
  app.copy('gate.cjs', 'express.cjs')
  return visitServer(file, args, { cwd: app.folder, env: ENV })
}
