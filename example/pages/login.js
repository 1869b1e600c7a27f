'use strict'

/** The page for who is not logged in. */

const { html } = require('./html.js')
const { layout } = require('./layout.js')

module.exports = { loginPage }

function loginPage({ maxLength, problem }) {
  const content = html`<h1>Log in</h1>
    <p>Any name will do. There is no password: this is an example.</p>
    <form method="post" action="/login">
      <label for="name">Name</label>
      <input id="name" name="name" required maxlength="${maxLength}" autocomplete="off" autofocus />
      ${problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`}
      <button>Log in</button>
    </form>`
  return layout({ title: 'Log in', content })
}
