'use strict'

/**
 * The packages as a user gets them: packed, with the binary of this platform, and installed into
 * apps in a temporary folder. The checkout is only read.
 */

const { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { succeed } = require('./processes.js')

const ROOT = join(__dirname, '../..')

/** The only platform that the script runs on. */
const PLATFORM = 'linux-x64-gnu'
const BINDING = `@memorystore-rs/binding-${PLATFORM}`

const QUIET = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']

/** Packs both packages into a new temporary folder. */
async function packAll() {
  const folder = mkdtempSync(join(tmpdir(), 'memorystore-rs-works-with-'))
  const binding = await packBinding(folder)
  const root = await packRoot(folder, binding)
  return { folder, root, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

async function packBinding(folder) {
  const copy = join(folder, 'binding')
  cpSync(join(ROOT, 'npm', PLATFORM), copy, { recursive: true })
  const { main } = readJson(copy)
  cpSync(join(ROOT, main), join(copy, main))
  return pack(copy, folder)
}

/** As the release does, the root package names its platform package: here by its tarball. */
async function packRoot(folder, binding) {
  const tarball = await pack(ROOT, folder)
  await succeed('tar', ['-xzf', tarball], { cwd: folder })
  const copy = join(folder, 'package')
  const manifest = readJson(copy)
  manifest.optionalDependencies = { [BINDING]: `file:${binding}` }
  writeFileSync(join(copy, 'package.json'), JSON.stringify(manifest))
  return pack(copy, folder)
}

async function pack(folder, destination) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', destination]
  const { stdout } = await succeed('npm', args, { cwd: folder })
  // An array up to npm 11, an object by package name from npm 12 on.
  const [{ filename }] = Object.values(JSON.parse(stdout))
  return join(destination, filename)
}

/** An app in a folder of its own. */
class App {
  constructor(packed, name, { manifest = {}, from } = {}) {
    this.packed = packed
    this.folder = join(packed.folder, 'apps', name)
    mkdirSync(this.folder, { recursive: true })
    if (from) cpSync(from, this.folder, { recursive: true, filter: isSource })
    else this.write('package.json', JSON.stringify({ name: 'app', private: true, ...manifest }))
  }

  /** Installs the packed package and `packages` with npm. */
  async install(packages) {
    const args = ['install', ...QUIET, this.packed.root, ...packages]
    await succeed('npm', args, { cwd: this.folder })
  }

  /** Copies files of apps/ into the app, under their own names or under others. */
  copy(...files) {
    for (const file of files) {
      const [from, to] = Array.isArray(file) ? file : [file, file]
      cpSync(join(__dirname, 'apps', from), this.path(to), { recursive: true })
    }
  }

  write(file, content) {
    writeFileSync(this.path(file), content)
  }

  path(...parts) {
    return join(this.folder, ...parts)
  }

  /** At once: together the apps take gigabytes. */
  remove() {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }

  /** The program of an installed package. */
  bin(name) {
    return this.path('node_modules/.bin', name)
  }

  versionOf(name) {
    return readJson(this.path('node_modules', name)).version
  }
}

function isSource(path) {
  return !/node_modules|dist$|package-lock\.json$/.test(path)
}

function readJson(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

module.exports = { App, ROOT, packAll, readJson }
