'use strict'

/** Text as HTML: whatever is put into a template is escaped, unless it comes from one itself. */

module.exports = { html, raw }

class Markup {
  constructor(text) {
    this.text = text
  }

  toString() {
    return this.text
  }
}

/** A template tag. Arrays are joined, and undefined and false are nothing. */
function html(strings, ...values) {
  const parts = strings.map(
    (string, index) => string + (index < values.length ? render(values[index]) : ''),
  )
  return new Markup(parts.join(''))
}

/** Text that is HTML already, and comes from the app itself. */
function raw(text) {
  return new Markup(text)
}

function render(value) {
  if (value instanceof Markup) return value.text
  if (Array.isArray(value)) return value.map(render).join('')
  if (value === undefined || value === false) return ''
  return String(value).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}
