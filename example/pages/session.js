'use strict'

/** The page for who is logged in: what is in this session. */

const { html } = require('./html.js')
const { layout } = require('./layout.js')

module.exports = { sessionPage }

function sessionPage({ name, views, token, cookie }, length) {
  const expires = cookie.expires.toISOString()
  const content = html`<h1>Hello, ${name}</h1>
    <p>Every look at this page is counted in your session.</p>
    <dl class="rows">
      <dt>Views</dt>
      <dd id="views">${views}</dd>
      <dt>Expires</dt>
      <dd>
        ${Math.round(cookie.originalMaxAge / 60_000)} minutes after the last view, now at
        <time datetime="${expires}">${expires.slice(11, 19)} UTC</time>
      </dd>
      <dt>Sessions in the store</dt>
      <dd>${length}</dd>
    </dl>
    <div class="actions">
      <form action="/"><button>View again</button></form>
      <form action="/sessions"><button class="quiet">Your sessions</button></form>
      <form method="post" action="/logout">
        <input type="hidden" name="token" value="${token}" />
        <button class="quiet">Log out</button>
      </form>
    </div>`
  return layout({ title: 'Your session', content })
}
