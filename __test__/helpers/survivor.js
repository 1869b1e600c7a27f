'use strict'

// A process that opens damaged files, one after the other, and uses the store: if that brings it
// down, the test sees it end. It is given, as JSON, the folder of an undamaged file, a folder for
// the store, and trials: what is done to the file, and a seed for where. It prints a line of JSON
// before each trial and one after it.

const fs = require('node:fs')
const { join } = require('node:path')
const MemoryStore = require('../..')()
const { randomOfSeed } = require('./processes.js')

/** In bytes; the undamaged file tells it. */
let pageSize
const HOUR = 3600_000

/** Small enough for a test to read and copy the file. */
const MAP_SIZE = 8 << 20

/** How many sessions the undamaged file has. */
const COUNT = 300

/** What must not be in any message, log or warning: each sid has the one, each body the other. */
const SECRETS = { sid: 'SecretSid', body: 'SecretBody' }

const sidOf = (n) => `${SECRETS.sid}-${n}`

function sessionOf(n) {
  // Some take pages of their own.
  const length = n % 40 === 7 ? 30_000 : (n * 7) % 1500
  const filler = `${SECRETS.body}-${n};`.repeat(length / 10)
  return { cookie: { path: '/', originalMaxAge: HOUR }, n, filler }
}

/** What can be done to a file: each changes the bytes and returns them. */
const DAMAGES = {
  'cut off': (bytes, below) => bytes.subarray(0, 1 + below(bytes.length - 1)),
  'cut off after a page': (bytes, below) =>
    bytes.subarray(0, pageSize * (1 + below(bytes.length / pageSize - 1))),
  'a bit is flipped': (bytes, below) => {
    bytes[below(bytes.length)] ^= 1 << below(8)
    return bytes
  },
  'some bytes are random': (bytes, below) => {
    for (let n = 0; n < 20; n++) bytes[below(bytes.length)] = below(256)
    return bytes
  },
  'a head of a page is another': (bytes, below) => {
    const at = pageSize * below(bytes.length / pageSize) + below(64)
    bytes[at] = (bytes[at] + 1 + below(255)) % 256
    return bytes
  },
  'a page is zeros': (bytes, below) => {
    const at = pageSize * below(bytes.length / pageSize)
    return bytes.fill(0, at, at + pageSize)
  },
  'a page is noise': (bytes, below) => {
    const at = pageSize * below(bytes.length / pageSize)
    for (let n = 0; n < pageSize; n++) bytes[at + n] = below(256)
    return bytes
  },
  'a page is another one': (bytes, below) => {
    const [from, to] = [below(bytes.length / pageSize), below(bytes.length / pageSize)]
    bytes.copy(bytes, to * pageSize, from * pageSize, (from + 1) * pageSize)
    return bytes
  },
  'the counts are others': (bytes, below) => {
    for (const at of stateEntries(bytes)) bytes[at + 8 + below(56)] ^= 1 << below(8)
    return bytes
  },
  // What follows is no file of this version, wherever one looks.
  text: () => Buffer.from('not a database'),
  'a page of zeros': () => Buffer.alloc(pageSize),
  'only zeros': (bytes) => bytes.fill(0),
  noise: (bytes, below) => Buffer.from(Array.from({ length: 9000 }, () => below(256))),
  'another version of LMDB': (bytes) => {
    const VERSION = 16 + 4 // Behind the head of a page and the magic number.
    for (const page of [0, 1]) bytes[page * pageSize + VERSION]++
    return bytes
  },
  'another version of the format': (bytes) => {
    for (const at of stateEntries(bytes)) {
      bytes[at]++
      bytes.writeUInt32LE(crc32(bytes.subarray(at, at + STATE)), at + STATE)
    }
    return bytes
  },
  'a folder': () => undefined,
  empty: () => Buffer.alloc(0),
}

/**
 * Where the values of the one entry of `state` are, in all the pages that have or had it. They
 * begin with the version of the format, and end with a checksum.
 */
function stateEntries(bytes) {
  const key = Buffer.from('state')
  const found = []
  for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + 1)) {
    // Before a key are its length and flags: of an entry, or of the database that has its name.
    const isEntry = bytes.readUInt16LE(at - 2) === key.length && bytes.readUInt16LE(at - 4) === 0
    if (isEntry) found.push(at + key.length)
  }
  return found
}

/** How many bytes are before the checksum there. */
const STATE = 64

function crc32(bytes) {
  let sum = -1
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0)
  }
  return ~sum >>> 0
}

/** Makes the file in the folder `path`, and returns its bytes. */
function makeDamaged(original, path, { damage, seed, isInPlace }) {
  const data = join(path, 'data.mdb')
  const bytes = DAMAGES[damage](Buffer.from(original), randomOfSeed(seed).below)
  if (bytes === undefined) {
    fs.mkdirSync(data, { recursive: true })
  } else if (isInPlace) {
    const file = fs.openSync(data, 'r+')
    fs.ftruncateSync(file, bytes.length)
    fs.writeSync(file, bytes, 0, bytes.length, 0)
    fs.closeSync(file)
  } else {
    fs.mkdirSync(path, { recursive: true })
    fs.writeFileSync(data, bytes)
  }
  return bytes
}

/** Opens the file and uses the store in every way. */
async function tryOut(original, path, trial) {
  fs.rmSync(path, { recursive: true, force: true })
  if (trial.isInPlace) {
    // A file that has just been closed, which the store might take to be as it was.
    fs.mkdirSync(path)
    fs.writeFileSync(join(path, 'data.mdb'), original)
    await new MemoryStore({ path, mapSize: MAP_SIZE }).close()
  }
  const bytes = makeDamaged(original, path, trial)
  const report = { trial, warnings: [], kept: 0, wrong: [], errors: [] }
  process.emitWarning = (message, { code }) => report.warnings.push({ message, code })
  const attempt = async (call) => {
    try {
      return await call()
    } catch (err) {
      report.errors.push(`${err.code}: ${err.message}`)
    }
  }

  const store = new MemoryStore({ path, mapSize: MAP_SIZE })
  report.length = await attempt(() => store.length())
  for (let n = 0; n < COUNT; n++) {
    const found = await attempt(() => store.get(sidOf(n)))
    if (found === undefined) continue
    if (JSON.stringify(found) === JSON.stringify(sessionOf(n))) report.kept++
    else report.wrong.push(n)
  }
  await attempt(() => store.ids())
  await attempt(() => store.all())
  for (let n = 0; n < COUNT; n++) {
    const sid = sidOf(n)
    await attempt(() => store.touch(sid, sessionOf(n)))
    if (n % 3 === 0) await attempt(() => store.destroy(sid))
    else if (n % 3 === 1) await attempt(() => store.set(sid, sessionOf(n)))
  }
  await attempt(() => store.prune())
  await attempt(() => store.set('new', sessionOf(1)))
  await attempt(() => store.close())

  report.again = []
  process.emitWarning = (message) => report.again.push(message)
  const again = new MemoryStore({ path, mapSize: MAP_SIZE })
  const found = await attempt(() => again.get('new'))
  report.works = JSON.stringify(found) === JSON.stringify(sessionOf(1))
  await attempt(() => again.clear())
  await attempt(() => again.close())

  const names = fs.readdirSync(path).filter((name) => name.includes('.damaged-'))
  report.aside = names.map((name) => {
    const aside = join(path, name)
    // LMDB may have made it larger.
    const isSame =
      bytes === undefined || fs.readFileSync(aside).subarray(0, bytes.length).equals(bytes)
    return { aside, isSame }
  })
  return report
}

/** Fills a store with what is then damaged. */
async function fill(path) {
  const store = new MemoryStore({ path, mapSize: MAP_SIZE })
  for (let n = 0; n < COUNT; n++) await store.set(sidOf(n), sessionOf(n))
  await store.close()
}

async function runTrials({ undamaged, path, trials }) {
  const whole = fs.readFileSync(join(undamaged, 'data.mdb'))
  // Behind the head of a page (16 bytes) and 24 bytes of LMDB's meta page.
  pageSize = whole.readUInt32LE(16 + 24)
  // Behind what is used are pages that never were.
  const used = Math.ceil((whole.findLastIndex((byte) => byte !== 0) + 1) / pageSize) * pageSize
  const original = whole.subarray(0, used)
  const print = (line) => fs.writeSync(1, `${JSON.stringify(line)}\n`)
  for (const trial of trials) {
    print({ begun: trial })
    print(await tryOut(original, path, trial))
  }
}

if (require.main === module) runTrials(JSON.parse(process.argv[2]))

module.exports = { COUNT, MAP_SIZE, SECRETS, fill }
