'use strict'

/** TypeScript that runs from its source. */

const { succeed } = require('../processes.js')
const { visitServer } = require('../visit.js')
const { installNode } = require('../node.js')

const TYPES = ['@types/node@20', '@types/express', '@types/express-session']
const EXPRESS = ['express', 'express-session', ...TYPES]

module.exports = [
  fromSource('tsx', ['tsx'], (app) => [app.bin('tsx'), []]),
  fromSource('ts-node', ['ts-node', 'typescript@5'], () => [
    process.execPath,
    ['-r', 'ts-node/register'],
  ]),
  stripped('22.18', '22.18.0'),
  stripped('24', '24'),
  {
    name: 'typescript',
    title: 'TypeScript, the types of an app in strict mode',
    packages: ['typescript', ...EXPRESS],
    version: 'typescript',
    async check(app) {
      app.copy('gate.cjs', 'gate.d.cts', ['express.ts', 'server.ts'], 'tsconfig.json')
      await succeed(app.bin('tsc'), ['--noEmit'], { cwd: app.folder })
    },
  },
]

function fromSource(name, packages, command) {
  return {
    name,
    title: name,
    packages: [...packages, ...EXPRESS],
    version: name,
    async check(app) {
      const [file, args] = command(app)
      await visited(app, file, args)
    },
  }
}

/** Types that Node.js itself removes. */
function stripped(label, version) {
  return {
    name: `node-types-${label}`,
    title: `Node.js ${label}, which removes the types itself`,
    packages: EXPRESS,
    async check(app) {
      const node = await installNode(app, version)
      await visited(app, node.file, [])
      return node.version
    },
  }
}

function visited(app, file, args) {
  app.copy('gate.cjs', 'gate.d.cts', ['express.ts', 'server.ts'], 'tsconfig.json')
  return visitServer(file, [...args, 'server.ts'], { cwd: app.folder })
}
