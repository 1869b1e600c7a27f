'use strict'

/**
 * Bundlers. Where the binary is made part of the bundle, the bundle runs in a folder without
 * node_modules; where the package is external, beside node_modules.
 */

const { cpSync, mkdirSync } = require('node:fs')
const { createRequire } = require('node:module')
const { basename, dirname, join } = require('node:path')
const { succeed } = require('../processes.js')
const { installNode } = require('../node.js')
const { visitServer } = require('../visit.js')

const EXPRESS = ['express', 'express-session']
const NOTES = '#bundlers'

module.exports = [
  bundled('esbuild', 'esbuild, with `--loader:.node=copy`', [], 'server.cjs', (app) => {
    const out = `--outfile=${app.path('out/server.cjs')}`
    const args = ['express.cjs', '--bundle', '--platform=node', '--loader:.node=copy', out]
    return succeed(app.bin('esbuild'), args, { cwd: app.folder })
  }),
  bundled(
    'esbuild',
    'esbuild, with `--packages=external`',
    [],
    'server.cjs',
    (app) => {
      const out = `--outfile=${app.path('out/server.cjs')}`
      const args = ['express.cjs', '--bundle', '--platform=node', '--packages=external', out]
      return succeed(app.bin('esbuild'), args, { cwd: app.folder })
    },
    { name: 'esbuild-external', isExternal: true },
  ),
  bundled(
    'webpack',
    'webpack, with node-loader',
    ['webpack-cli', 'node-loader'],
    'server.js',
    (app) => webpack(app, `module: { rules: [{ test: /\\.node$/, loader: 'node-loader' }] }`),
  ),
  bundled(
    'webpack',
    'webpack, with `externals`',
    ['webpack-cli'],
    'server.js',
    (app) => webpack(app, `externals: { 'memorystore-rs': 'commonjs memorystore-rs' }`),
    { name: 'webpack-external', isExternal: true },
  ),
  bundled(
    'rollup',
    'Rollup, with `external`',
    ['@rollup/plugin-commonjs'],
    'server.js',
    (app) => {
      const config = `import commonjs from '@rollup/plugin-commonjs'
      export default {
        input: 'express.cjs',
        external: ['express', 'express-session', 'memorystore-rs', /^node:/],
        plugins: [commonjs()],
        output: { file: 'out/server.js', format: 'cjs' },
      }`
      app.write('rollup.config.mjs', config)
      return succeed(app.bin('rollup'), ['-c'], { cwd: app.folder })
    },
    { isExternal: true },
  ),
  bundled(
    '@vercel/ncc',
    '@vercel/ncc',
    [],
    'index.cjs',
    (app) => succeed(app.bin('ncc'), ['build', 'express.cjs', '-o', 'out'], { cwd: app.folder }),
    { name: 'ncc' },
  ),
  bundled('@vercel/nft', '@vercel/nft, which traces what a deploy needs', [], 'http.cjs', trace, {
    name: 'nft',
  }),
  {
    name: 'sea',
    title: 'Single executable application (SEA) of Node.js',
    packages: ['esbuild', 'postject', ...EXPRESS],
    note: '#single-executable-applications',
    check: singleExecutable,
  },
]

function bundled(tool, title, more, entry, build, { name = tool, isExternal = false } = {}) {
  return {
    name,
    title,
    packages: [tool, ...more, ...EXPRESS],
    version: tool,
    note: NOTES,
    async check(app) {
      app.copy('gate.cjs', 'express.cjs', 'http.cjs')
      await build(app)
      const folder = isExternal ? app.path('out') : moveOut(app)
      await visitServer(process.execPath, [join(folder, entry)], { cwd: folder })
    },
  }
}

function webpack(app, lines) {
  const config = `module.exports = {
    mode: 'production', target: 'node', entry: './express.cjs',
    output: { path: __dirname + '/out', filename: 'server.js' },
    ${lines},
  }`
  app.write('webpack.config.js', config)
  return succeed(app.bin('webpack'), [], { cwd: app.folder })
}

/** Copies what nft lists into out/. */
async function trace(app) {
  const { nodeFileTrace } = createRequire(app.path('x.js'))('@vercel/nft')
  const { fileList } = await nodeFileTrace([app.path('http.cjs')], { base: app.folder })
  for (const file of fileList) {
    mkdirSync(dirname(app.path('out', file)), { recursive: true })
    cpSync(app.path(file), app.path('out', file), { dereference: true, recursive: true })
  }
}

/** Out of reach of the app's node_modules. */
function moveOut(app) {
  const folder = join(app.packed.folder, 'out', basename(app.folder))
  cpSync(app.path('out'), folder, { recursive: true })
  return folder
}

/** The binary is an asset, which the executable writes to a file before it loads the package. */
async function singleExecutable(app) {
  app.copy('gate.cjs', 'express.cjs', 'sea.cjs')
  const node = await installNode(app, '24')
  const bundle = [
    'sea.cjs',
    '--bundle',
    '--platform=node',
    '--external:@memorystore-rs/*',
    '--outfile=bundle.cjs',
  ]
  await succeed(app.bin('esbuild'), bundle, { cwd: app.folder })
  const asset = app.path(
    'node_modules/@memorystore-rs/binding-linux-x64-gnu/memorystore-rs.linux-x64-gnu.node',
  )
  const config = { main: 'bundle.cjs', output: 'sea.blob', disableExperimentalSEAWarning: true }
  app.write('sea.json', JSON.stringify({ ...config, assets: { 'memorystore-rs.node': asset } }))
  await succeed(node.file, ['--experimental-sea-config', 'sea.json'], { cwd: app.folder })
  const folder = join(app.packed.folder, 'sea-out')
  mkdirSync(folder)
  cpSync(node.file, join(folder, 'app'))
  const fuse = ['--sentinel-fuse', 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2']
  const inject = [join(folder, 'app'), 'NODE_SEA_BLOB', 'sea.blob', ...fuse]
  await succeed(app.bin('postject'), inject, { cwd: app.folder })
  await visitServer(join(folder, 'app'), [], { cwd: folder, env: { TMPDIR: folder } })
  return `Node.js ${node.version}`
}
