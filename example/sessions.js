'use strict'

/**
 * "Your sessions": who is logged in sees each device, and can end its session. An app with
 * passwords asks for the password before it ends any.
 */

const { withToken } = require('./csrf.js')
const { sessionsPage } = require('./pages/sessions.js')

module.exports = { addSessions }

function addSessions(app, store) {
  app.get('/sessions', signedIn, async (req, res) => {
    const { name, token } = req.session
    const list = await store.sessionsOf(name, { current: req.sessionID })
    res.send(sessionsPage({ name, token, list, now: Date.now() }))
  })

  app.post('/sessions/end', signedIn, withToken, async (req, res) => {
    const { id } = req.body
    // Only a session of this user: a handle that somebody guessed ends nothing.
    if (typeof id === 'string') await store.destroyUser(req.session.name, { only: id })
    res.redirect(303, '/sessions')
  })

  app.post('/sessions/end-others', signedIn, withToken, async (req, res) => {
    await store.destroyUser(req.session.name, { except: req.sessionID })
    res.redirect(303, '/sessions')
  })
}

/** To others there is nothing to see but the login. */
function signedIn(req, res, next) {
  if (req.session.name === undefined) return res.redirect(303, '/')
  next()
}
