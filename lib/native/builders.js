'use strict'

/**
 * Makes sessions of their values: the native store keeps what sessions have in common apart, as
 * shapes, and a builder is a function that was made for one shape. It takes half the time of
 * JSON.parse.
 *
 * The source of a builder has nothing of the sessions in it but the names of their members, which
 * JSON.stringify has quoted. Where code must not be generated, JSON.parse reads all sessions.
 */

/** How a string for builders begins; no JSON text does. See `FOR_BUILDER` in src/session/body.rs. */
const MARK = 1

// Where its parts are: the version (6 bytes), the shape's number and the template's number.
const VERSION = 1
const SHAPE = 7
const TEMPLATE = 13
const TIME = 19
const TIME_LENGTH = 24

/** Whether `data`, what the native store gave out, is for a builder. */
function isPacked(data) {
  return typeof data === 'string' && data.charCodeAt(0) === MARK
}

/** What a request read: the values, and how to make the session of them once more. */
class PackedBody {
  constructor(data, shape, template) {
    this.data = data
    this.shape = shape
    this.template = template
  }

  /** The version at which it was read. */
  get version() {
    return (int32(this.data, VERSION) >>> 0) + int16(this.data, VERSION + 4) * 2 ** 32
  }

  session() {
    const { data, shape, template } = this
    const { cookie, hasTime } = template
    if (!hasTime) return shape.build(data, { ...cookie }, TIME)
    const end = TIME + TIME_LENGTH
    return shape.build(data, { ...cookie, expires: data.substring(TIME, end) }, end)
  }

  /** The session as JSON text. */
  text() {
    return JSON.stringify(this.session())
  }
}

/** The builders of a store. */
class Builders {
  /** Whether code may be generated. */
  areAllowed = true
  #native
  /** By the places of the shapes and the templates in the native store. */
  #shapes = []
  #templates = []

  constructor(native) {
    this.#native = native
  }

  /** What was read; undefined if its shape is gone, or if there is no builder for it. */
  read(data) {
    const shape = this.#shapeOf(int16(data, SHAPE), int32(data, SHAPE + 2))
    const template = this.#templateOf(int16(data, TEMPLATE), int32(data, TEMPLATE + 2))
    return shape && template ? new PackedBody(data, shape, template) : undefined
  }

  #shapeOf(slot, made) {
    const known = this.#shapes[slot]
    if (known?.made === made) return known
    const definition = this.#native.shape(handleOf(slot, made))
    if (definition === undefined) return undefined
    try {
      return (this.#shapes[slot] = { made, build: builderOf(JSON.parse(definition)) })
    } catch {
      this.areAllowed = false
      return undefined
    }
  }

  #templateOf(slot, made) {
    const known = this.#templates[slot]
    if (known?.made === made) return known
    const definition = this.#native.cookieOf(handleOf(slot, made))
    if (definition === undefined) return undefined
    return (this.#templates[slot] = { made, ...JSON.parse(definition) })
  }
}

function handleOf(slot, made) {
  return (made >>> 0) * 2 ** 16 + slot
}

function int16(text, at) {
  return text.charCodeAt(at) | (text.charCodeAt(at + 1) << 8)
}

function int32(text, at) {
  return int16(text, at) | (int16(text, at + 2) << 16)
}

// The kinds of holes; see src/session/shape/hole.rs.
const [FIXED_STRING, BOOL, INT, LONG, NUMBER, TEXT, LONG_TEXT] = [0, 1, 2, 3, 4, 5, 6]

/** How many bytes of what has a fixed length a hole takes, by its kind. */
const SIZES = [0, 1, 4, 6, 1, 1, 2]

/**
 * The builder for a shape: a function of the string `t` with the values, the cookie `c`, and where
 * in `t` the values of the strings begin, `p0`. Behind these is what has a fixed length, from `f`
 * on.
 *
 * @param {{holes: number[], session: object}} definition each value in the session is the number of
 * its hole
 */
function builderOf({ holes, session }) {
  const kinds = holes.map((code) => code & 15)
  const size = kinds.reduce((sum, kind) => sum + SIZES[kind], 0)
  const steps = [`const f=t.length-${size}`]
  let at = 0
  let position = 'p0'
  const values = kinds.map((kind, number) => {
    const fixed = at
    at += SIZES[kind]
    const length = lengthOf(kind, holes[number], fixed)
    if (length === undefined) return fixedValue(kind, fixed)
    const start = position
    position = `p${number + 1}`
    steps.push(`const ${position}=${start}+${length}`)
    const text = `t.substring(${start},${position})`
    return kind === NUMBER ? `+${text}` : text
  })
  const source = sourceOf(session, values)
  return new Function('t', 'c', 'p0', `'use strict';${steps.join(';')};return ${source}`)
}

/** The source of the length of a value among the strings; undefined if the value is not there. */
function lengthOf(kind, code, at) {
  if (kind === FIXED_STRING) return String(code >> 4)
  if (kind === TEXT || kind === NUMBER) return byte(at)
  return kind === LONG_TEXT ? bytes(at, 2) : undefined
}

function fixedValue(kind, at) {
  switch (kind) {
    case BOOL:
      return `${byte(at)}===1`
    case INT:
      return bytes(at, 4)
    case LONG:
      return `(${bytes(at, 4)}>>>0)+(${bytes(at + 4, 2)})*4294967296`
    default:
      throw new RangeError(`no such kind: ${kind}`)
  }
}

function byte(at) {
  return `t.charCodeAt(f+${at})`
}

function bytes(at, count) {
  const shifted = Array.from({ length: count }, (_, n) => `${byte(at + n)}<<${8 * n}`)
  return `(${shifted.join('|')})`
}

/** The source of a session or a part of one. Names are its only strings. */
function sourceOf(part, values, isSession = true) {
  if (part === null) return 'null'
  if (typeof part === 'number') return values[part]
  if (Array.isArray(part)) return `[${part.map((item) => sourceOf(item, values, false)).join(',')}]`
  const members = Object.keys(part).map((name) => {
    const isCookie = isSession && name === 'cookie' && part.cookie === null
    const value = isCookie ? 'c' : sourceOf(part[name], values, false)
    // Without the brackets this name would set the prototype.
    return `${name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)}:${value}`
  })
  return `{${members.join(',')}}`
}

module.exports = { Builders, PackedBody, isPacked }
