'use strict'

/**
 * The operator's page, for who has the token: as the password of HTTP's Basic authentication, with
 * any name. The browser asks for it. It only shows; there is nothing to be done there.
 */

const { createHash, timingSafeEqual } = require('node:crypto')
const express = require('express')
const { operatorPage } = require('../pages/operator.js')
const { operatorMinutes } = require('../settings.js')

module.exports = { createOperator }

/** How often a page that the operator leaves open asks for itself again, in seconds. */
const REFRESH = 5

function createOperator(token, samples) {
  const router = express.Router()
  router.use((req, res, next) => {
    if (isToken(passwordOf(req.get('Authorization')), token)) return next()
    res.set('WWW-Authenticate', 'Basic realm="Operator", charset="UTF-8"')
    res.status(401).type('text').send('The password is OPERATOR_TOKEN.')
  })
  router.get('/', (req, res) => {
    const refresh = req.query.refresh === undefined ? undefined : REFRESH
    res.send(operatorPage({ samples, minutes: operatorMinutes, refresh }))
  })
  return router
}

function passwordOf(header) {
  const [, encoded] = /^Basic ([\w+/=-]+)$/i.exec(header ?? '') ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString()
  return text.slice(text.indexOf(':') + 1)
}

/** Takes the same time however much of `given` is right. */
function isToken(given, token) {
  return given !== undefined && timingSafeEqual(digest(given), digest(token))
}

function digest(text) {
  return createHash('sha256').update(text).digest()
}
