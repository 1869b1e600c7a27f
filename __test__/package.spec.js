'use strict'

// The packages as they are published: what is in them, and that they work where they are
// installed, without install scripts, without Rust, without the registry. The release is done in
// a temporary copy; the checkout is only read.

const {
  cp,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} = require('node:fs/promises')
const { existsSync, readdirSync, realpathSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { basename, delimiter, dirname, join, relative } = require('node:path')
const test = require('ava')
const { publint } = require('publint')
const { formatMessage } = require('publint/utils')
const manifest = require('../package.json')
const { ROOT, run } = require('./helpers/process.js')

const WINDOWS = process.platform === 'win32'
const SCRIPTS = join(ROOT, 'scripts')
const REPOSITORY = 'https://git.example/owner/name'
const PLATFORMS = readdirSync(join(ROOT, 'npm')).sort()
const PLATFORM = platform()

const ROOT_FILES = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'binding.js',
  'grafana-dashboard.json',
  'index.d.ts',
  'index.js',
  ...readdirSync(join(ROOT, 'lib'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(relative(ROOT, entry.parentPath ?? entry.path), entry.name)),
  'package.json',
  'prometheus.d.ts',
  'prometheus.js',
]

/** Where the release is made, where it is installed, and the environment of a user without Rust. */
let release, app, env

test.before(async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'memorystore-rs-package-')))
  release = join(folder, 'release')
  app = join(folder, 'app')
  env = await withoutRust(join(folder, 'bin'))
  await makeRelease()
  await install()
})

test.after.always(() => app && rm(dirname(app), { recursive: true }))

test('the root package holds the JavaScript, the types and the documents, and nothing else', async (t) => {
  const { files } = await pack(ROOT, '--dry-run')

  t.deepEqual(files.sort(), ROOT_FILES.sort())
})

test('a platform package holds its binary, and says where it runs', async (t) => {
  const folder = join(release, 'npm', PLATFORM)
  const { files } = await pack(folder, '--dry-run')
  const { main, os, cpu, libc, engines } = await readJson(folder)

  t.deepEqual(files, ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES.txt', main, 'package.json'])
  t.deepEqual(os, [process.platform])
  t.deepEqual(cpu, [process.arch])
  t.deepEqual(libc, { gnu: ['glibc'], musl: ['musl'] }[PLATFORM.split('-')[2]])
  t.deepEqual(engines, manifest.engines)
})

test('npm/ is what scripts/platform-packages.js makes of package.json', async (t) => {
  const folder = join(dirname(app), 'created')
  await mkdir(folder)
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'))
  await succeed(process.execPath, [join(SCRIPTS, 'platform-packages.js'), folder])

  t.deepEqual(readdirSync(join(folder, 'npm')).sort(), PLATFORMS)
  for (const name of PLATFORMS) {
    for (const file of ['package.json', 'README.md']) {
      const read = (root) => readFile(join(root, 'npm', name, file), 'utf8')
      t.is(await read(ROOT), await read(folder), `${name}/${file}`)
    }
  }
})

test('every package has one version, and so have the crate and the loader', async (t) => {
  t.deepEqual(await versionsIn(ROOT), [manifest.version])
})

test('a new version reaches every package, the crate and the changelog', async (t) => {
  const folder = join(dirname(app), 'version')
  for (const name of ['package.json', 'npm', 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md']) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true })
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, version: '9.8.7' }))
  for (let run = 0; run < 2; run++) {
    await succeed(process.execPath, [join(SCRIPTS, 'version.js'), folder])
  }

  t.deepEqual(await versionsIn(folder), ['9.8.7'])
  const changelog = await readFile(join(folder, 'CHANGELOG.md'), 'utf8')
  t.is(changelog.match(/^## \[9\.8\.7\] - \d{4}-\d\d-\d\d$/gm).length, 1)
  t.is(changelog.match(/^## \[Unreleased\]\n\n## \[9\.8\.7\]/gm).length, 1)
})

test('what is published names the repository that publishes it', async (t) => {
  for (const folder of [release, join(release, 'npm', PLATFORM)]) {
    const { repository, homepage, bugs } = await readJson(folder)
    t.deepEqual(repository, { type: 'git', url: `git+${REPOSITORY}.git` })
    t.is(homepage, `${REPOSITORY}#readme`)
    t.is(bugs, `${REPOSITORY}/issues`)
  }
})

test('a release without the binary of a platform is refused', async (t) => {
  const folder = join(dirname(app), 'incomplete')
  await cp(release, folder, { recursive: true })
  const [name] = PLATFORMS.filter((platform) => platform !== PLATFORM)
  const { main } = await readJson(join(folder, 'npm', name))
  await rm(join(folder, 'npm', name, main))

  const args = [join(SCRIPTS, 'prepare-release.js'), REPOSITORY, folder]
  const { code, stderr } = await run(process.execPath, args)
  t.is(code, 1)
  t.true(stderr.includes(`has no binary ${main}`), stderr)
})

test('a checkout that is not prepared cannot be published', async (t) => {
  t.is(manifest.scripts.prepublishOnly, 'node scripts/check-prepared.js')
  const { code, stderr } = await run(process.execPath, [join(SCRIPTS, 'check-prepared.js')])
  t.is(code, 1)
  t.regex(stderr, /Not ready to be published/)
})

test('publint finds nothing in the packages', async (t) => {
  for (const folder of [release, join(release, 'npm', PLATFORM)]) {
    const { messages, pkg } = await publint({ pkgDir: folder, level: 'suggestion', pack: false })
    t.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    )
  }
})

test('the types are right for CommonJS, ES modules and bundlers', async (t) => {
  const { filename } = await pack(release, '--pack-destination', dirname(app))
  const cli = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
  const args = [cli, '--format', 'json', join(dirname(app), filename)]
  const { analysis } = JSON.parse((await succeed(process.execPath, args)).stdout)

  t.deepEqual(Object.keys(analysis.entrypoints).sort(), Object.keys(manifest.exports).sort())
  t.deepEqual(analysis.problems, [])
})

test('the loader asks for the platform packages by their names', async (t) => {
  const loader = await readFile(join(ROOT, 'binding.js'), 'utf8')
  for (const name of PLATFORMS) {
    t.true(loader.includes(`require('${manifest.napi.packageName}-${name}')`), name)
  }
})

test('the release step, and nothing before it, names the platform packages', async (t) => {
  const { optionalDependencies } = await readJson(release)
  const expected = PLATFORMS.map((name) => [
    `${manifest.napi.packageName}-${name}`,
    manifest.version,
  ])

  t.is(manifest.optionalDependencies, undefined)
  t.deepEqual(optionalDependencies, Object.fromEntries(expected))
})

test('no package has install scripts', async (t) => {
  const folders = [ROOT, ...PLATFORMS.map((name) => join(ROOT, 'npm', name))]
  for (const folder of folders) {
    const { scripts = {} } = await readJson(folder)
    const names = Object.keys(scripts).filter((name) => /install|prepare/.test(name))
    t.deepEqual(names, [], folder)
  }
})

test('Rust is out of reach of the app', async (t) => {
  const { stdout } = await script('cjs', `console.log(process.env.PATH)`)
  const programs = stdout
    .trim()
    .split(delimiter)
    .flatMap((path) => readdirSync(path))

  t.deepEqual(
    programs.filter((name) => /^(cargo|rustc)\b/.test(name)),
    [],
  )
})

test('what is installed is what was packed', async (t) => {
  const installed = readdirSync(join(app, 'node_modules')).filter((name) => !name.startsWith('.'))
  const binaries = readdirSync(join(app, 'node_modules', dirname(manifest.napi.packageName)))

  t.deepEqual(installed.sort(), ['@memorystore-rs', 'debug', 'memorystore-rs', 'ms'])
  t.deepEqual(binaries, [`${basename(manifest.napi.packageName)}-${PLATFORM}`])
})

test('an installed package is required from CommonJS', async (t) => {
  const { stdout } = await script(
    'cjs',
    `const store = new (require('memorystore-rs')())()
     store.set('sid', { views: 1 })
     store.get('sid').then((session) => {
       const binary = Object.keys(require.cache).find((name) => name.endsWith('.node'))
       console.log(JSON.stringify({ session, binary, path: require.resolve('memorystore-rs') }))
     })`,
  )
  const { session, binary, path } = JSON.parse(stdout)

  t.deepEqual(session, { views: 1 })
  t.is(path, join(app, 'node_modules/memorystore-rs/index.js'))
  t.true(binary.startsWith(join(app, 'node_modules/@memorystore-rs')), binary)
})

test('an installed package is imported from an ES module', async (t) => {
  const { stdout } = await script(
    'mjs',
    `import createMemoryStore from 'memorystore-rs'
     const store = new (createMemoryStore())()
     await store.set('sid', { views: 1 })
     console.log(JSON.stringify(await store.get('sid')))`,
  )

  t.deepEqual(JSON.parse(stdout), { views: 1 })
})

test('an Express app runs on an installed package', async (t) => {
  const { stdout } = await script(
    'cjs',
    `const { createRequire } = require('node:module')
     const outside = createRequire(process.env.REPOSITORY)
     const express = outside('express')
     const session = outside('express-session')
     const MemoryStore = require('memorystore-rs')(session)

     const app = express()
     const store = new MemoryStore({ checkPeriod: 86400000 })
     app.use(session({ secret: 'secret', resave: false, saveUninitialized: true, store }))
     app.get('/', (req, res) => {
       req.session.views = (req.session.views ?? 0) + 1
       res.json(req.session.views)
     })
     const server = app.listen(0, '127.0.0.1', async () => {
       const url = 'http://127.0.0.1:' + server.address().port
       const first = await fetch(url)
       const cookie = first.headers.get('set-cookie').split(';')[0]
       const second = await fetch(url, { headers: { cookie, connection: 'close' } })
       console.log(JSON.stringify([await first.json(), await second.json()]))
       server.close()
       server.closeAllConnections()
     })`,
  )

  t.deepEqual(JSON.parse(stdout), [1, 2])
})

/** The platform's name in npm/. */
function platform() {
  const { platform, arch } = process
  if (platform === 'win32') return `${platform}-${arch}-msvc`
  if (platform !== 'linux') return `${platform}-${arch}`
  const glibc = process.report.getReport().header.glibcVersionRuntime
  return `${platform}-${arch}-${glibc ? 'gnu' : 'musl'}`
}

/** Does what a release does, up to publishing. Other platforms' binaries are stand-ins. */
async function makeRelease() {
  for (const name of [...ROOT_FILES, 'THIRD-PARTY-LICENSES.txt', 'npm']) {
    await cp(join(ROOT, name), join(release, name), { recursive: true })
  }
  for (const name of PLATFORMS) {
    const { main } = await readJson(join(release, 'npm', name))
    const binary = join(release, 'npm', name, main)
    if (name === PLATFORM) await cp(join(ROOT, main), binary)
    else await writeFile(binary, 'stand-in')
  }
  const args = [join(SCRIPTS, 'prepare-release.js'), REPOSITORY, release]
  await succeed(process.execPath, args)
}

/** The different versions that the files of a folder name. */
async function versionsIn(folder) {
  const read = (name) => readFile(join(folder, name), 'utf8')
  const packages = ['.', ...PLATFORMS.map((name) => join('npm', name))]
  const manifests = await Promise.all(packages.map((name) => readJson(join(folder, name))))
  const versions = manifests.map(({ version }) => version)
  versions.push(/^version = "(.*)"$/m.exec(await read('Cargo.toml'))[1])
  versions.push(/name = "memorystore-rs"\nversion = "(.*)"/.exec(await read('Cargo.lock'))[1])
  if (existsSync(join(folder, 'binding.js'))) {
    const compared = (await read('binding.js')).matchAll(/bindingPackageVersion !== '([^']+)'/g)
    versions.push(...[...compared].map(([, version]) => version))
  }
  return [...new Set(versions)]
}

/** Installs the release and what it needs at run time from tarballs. */
async function install() {
  await mkdir(app)
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true }))
  const folders = [
    release,
    join(release, 'npm', PLATFORM),
    dirname(require.resolve('debug/package.json')),
    dirname(require.resolve('ms/package.json', { paths: [require.resolve('debug')] })),
  ]
  const tarballs = []
  for (const folder of folders) {
    const { filename } = await pack(folder, '--pack-destination', dirname(app))
    tarballs.push(join(dirname(app), filename))
  }
  const options = ['--ignore-scripts', '--offline', '--no-audit', '--no-fund']
  await npm(['install', ...options, ...tarballs], { cwd: app, env })
}

/** Packs a folder. Resolves with the name of the tarball and the paths of the `files` in it. */
async function pack(folder, ...options) {
  const { stdout } = await npm(['pack', '--json', '--ignore-scripts', ...options], { cwd: folder })
  const parsed = JSON.parse(stdout)
  // An array up to npm 11, an object by package name from npm 12 on.
  const [{ filename, files }] = Object.values(parsed)
  return { filename, files: files.map(({ path }) => path).sort() }
}

/** Runs a script in the app, as a user without Rust. */
async function script(extension, source) {
  const file = join(app, `script-${process.hrtime.bigint()}.${extension}`)
  await writeFile(file, source)
  const REPOSITORY = join(ROOT, 'package.json')
  return succeed(process.execPath, [file], { cwd: app, env: { ...env, REPOSITORY } })
}

/** An environment in whose PATH there is Node.js and nothing else. */
async function withoutRust(bin) {
  await mkdir(bin, { recursive: true })
  if (WINDOWS) await cp(process.execPath, join(bin, 'node.exe'))
  else await symlink(process.execPath, join(bin, 'node'))
  const left = Object.entries(process.env).filter(
    ([name]) => !/^PATH$|_BINARY$|^NAPI_RS_/i.test(name),
  )
  return { ...Object.fromEntries(left), PATH: bin }
}

function npm(args, options) {
  return succeed(process.execPath, [npmCli(), ...args], options)
}

/** npm's own script: that of the npm that runs the tests, or else of the one in PATH. */
function npmCli() {
  const { npm_execpath: current = '', PATH = '' } = process.env
  if (basename(current) === 'npm-cli.js') return current
  for (const path of PATH.split(delimiter)) {
    const inWindows = join(path, 'node_modules/npm/bin/npm-cli.js')
    if (existsSync(inWindows)) return inWindows
    if (existsSync(join(path, 'npm'))) return realpathSync(join(path, 'npm'))
  }
  throw new Error('there is no npm in PATH')
}

async function succeed(file, args, options) {
  const result = await run(file, args, options)
  if (result.code !== 0) throw new Error(`${args.join(' ')}: ${result.stdout}${result.stderr}`)
  return result
}

async function readJson(folder) {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
}
