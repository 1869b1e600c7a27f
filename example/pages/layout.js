'use strict'

/**
 * What all pages have in common. They need no script, and their policy allows none: nothing but
 * the one style in them.
 */

const { createHash } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { redisUrl, sessionsPath, workers } = require('../settings.js')
const { html, raw } = require('./html.js')

const STYLE = readFileSync(join(__dirname, 'style.css'), 'utf8')

/** The Content-Security-Policy. The icon is an empty one, so that browsers ask for none. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

module.exports = { POLICY, layout }

/** What says who answered, where that is not always the same process. */
const ANSWERED = redisUrl || sessionsPath || workers ? `, answered by process ${process.pid}` : ''

/** A page as text. `refresh` is after how many seconds the browser asks for it again, if at all. */
function layout({ title, content, isWide = false, refresh }) {
  return String(html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  ${refresh !== undefined && html`<meta http-equiv="refresh" content="${refresh}" />`}
  <title>${title} - memorystore-rs</title>
  <link rel="icon" href="data:,">
  <style>${raw(STYLE)}</style>
</head>
<body${isWide && html` class="wide"`}>
  <main>
    ${content}
  </main>
  <footer>Sessions kept by memorystore-rs${ANSWERED}</footer>
</body>
</html>
`)
}
