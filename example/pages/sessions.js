'use strict'

/** "Your sessions": a list of devices, each with a button that ends its session. */

const { describeDevice } = require('../device.js')
const { html } = require('./html.js')
const { layout } = require('./layout.js')
const { ago, date } = require('./times.js')

module.exports = { sessionsPage }

/**
 * @param list what `sessionsOf` gives. The handles in it may be shown; sids are not in it.
 * @param token of the forms
 */
function sessionsPage({ name, token, list, now }) {
  const others = list.filter(({ current }) => !current)
  // This request is a use that is not written yet.
  const mine = list.filter(({ current }) => current).map((entry) => ({ ...entry, used: now }))
  const content = html`<h1>Your sessions</h1>
    <p>Where ${name} is logged in. End what you do not know.</p>
    <ul class="sessions">
      ${[...mine, ...others].map((entry) => item(entry, token, now))}
    </ul>
    <div class="actions">
      ${
        others.length > 0 &&
        html`<form method="post" action="/sessions/end-others">
          <input type="hidden" name="token" value="${token}" />
          <button>End all others</button>
        </form>`
      }
      <form action="/"><button class="quiet">Back</button></form>
    </div>`
  return layout({ title: 'Your sessions', content })
}

function item({ id, created, used, current, session }, token, now) {
  const device = describeDevice(session.agent)
  return html`<li>
    <div>
      <h2>${device} ${current && html`<span class="badge">This one</span>`}</h2>
      <p>
        Last seen ${time(used, ago(used, now))}<br />
        Began ${time(created, date(created))}
      </p>
    </div>
    ${current ? logOut(token) : end(id, device, token)}
  </li>`
}

function end(id, device, token) {
  return html`<form method="post" action="/sessions/end">
    <input type="hidden" name="token" value="${token}" />
    <input type="hidden" name="id" value="${id}" />
    <button class="quiet" aria-label="End this one: ${device}">End this one</button>
  </form>`
}

function logOut(token) {
  return html`<form method="post" action="/logout">
    <input type="hidden" name="token" value="${token}" />
    <button class="quiet">Log out</button>
  </form>`
}

function time(at, words) {
  return html`<time datetime="${new Date(at).toISOString()}">${words}</time>`
}
