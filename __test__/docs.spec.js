'use strict'

/**
 * The documentation: its links and anchors resolve, the README stays short, and every code that a
 * user can see is explained.
 */

const { existsSync, readFileSync, readdirSync } = require('node:fs')
const { dirname, join, relative, resolve } = require('node:path')
const test = require('ava')
const { ROOT } = require('./helpers/process.js')

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'bench/README.md',
  ...readdirSync(join(ROOT, 'example'), { recursive: true })
    .filter((name) => name.endsWith('README.md') && !name.includes('node_modules'))
    .map((name) => `example/${name}`),
  ...markdownIn('docs'),
]

/** Where codes of errors and warnings, and environment variables, can be. */
const SOURCES = ['index.js', 'index.d.ts', 'prometheus.js', 'lib', 'src']
const CODE = /(?:ERR_)?MEMORYSTORE_[A-Z]\w*/g

for (const page of PAGES) {
  test(`the links of ${page} resolve`, (t) => {
    const broken = linksOf(read(page)).filter((link) => !resolves(page, link))
    t.deepEqual(broken, [])
  })
}

test('a link to a file or an anchor that is not there is found', (t) => {
  const text = 'A [page](docs/none.md), [an anchor](#none), ![an image](none.svg), [fine](LICENSE).'
  const broken = linksOf(text).filter((link) => !resolves('README.md', link))
  t.deepEqual(broken, ['docs/none.md', '#none', 'none.svg'])
})

test('anchors are those that GitHub makes of headings', (t) => {
  const text = '# `a_b`, [c](d) & E-f!\n\n## Same\n\n```sh\n# no heading\n```\n\n## Same\n'
  t.deepEqual(anchorsOf(text), ['a_b-c--e-f', 'same', 'same-1'])
})

test('every page of docs/ is linked from the README', (t) => {
  const linked = linksOf(read('README.md')).map((link) => link.split('#')[0])
  t.deepEqual(
    markdownIn('docs').filter((page) => !linked.includes(page)),
    [],
  )
})

test('the README has less than 200 lines', (t) => {
  t.true(read('README.md').trimEnd().split('\n').length < 200)
})

test('troubleshooting.md explains every code in the sources, and no other', (t) => {
  const inSources = new Set(SOURCES.flatMap(filesOf).flatMap((file) => codesOf(read(file))))
  const explained = new Set(codesOf(read('docs/troubleshooting.md')))
  t.true(inSources.size > 15)
  t.deepEqual([...explained].sort(), [...inSources].sort())
})

function read(file) {
  return readFileSync(join(ROOT, file), 'utf8')
}

function markdownIn(folder) {
  const names = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.md'))
  return names.map((name) => `${folder}/${name}`)
}

/** The file itself, or all files below a folder but those of tests. */
function filesOf(path) {
  if (/\.\w+$/.test(path)) return [path]
  const entries = readdirSync(join(ROOT, path), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)))
}

function codesOf(text) {
  return (text.match(CODE) ?? []).filter((code) => !code.startsWith('MEMORYSTORE_TEST_'))
}

/** The targets of links and images within the repository. */
function linksOf(text) {
  const links = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target)
  return links.filter((target) => !/^[a-z]+:/.test(target))
}

function resolves(page, link) {
  const [file, anchor] = link.split('#')
  const target = file === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), file)
  if (!existsSync(target)) return false
  return anchor === undefined || anchorsOf(readFileSync(target, 'utf8')).includes(anchor)
}

/** What GitHub lets a link name: each heading in lower case, without punctuation. */
function anchorsOf(text) {
  const seen = new Map()
  return [...withoutCode(text, false).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading]) => {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
}

function withoutCode(text, isInlineToo = true) {
  const outside = text.replace(/^(```+)[^\n]*\n[\s\S]*?^\1 *$/gm, '')
  return isInlineToo ? outside.replace(/`[^`\n]*`/g, '') : outside
}
