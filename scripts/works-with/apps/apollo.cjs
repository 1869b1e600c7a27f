'use strict'

const { ApolloServer } = require('@apollo/server')
const { expressMiddleware } = require('@as-integrations/express5')
const express = require('express')
const session = require('express-session')
const MemoryStore = require('memorystore-rs')(session)
const { announce, slow } = require('./gate.cjs')

const typeDefs = `
  type Visit { user: String, views: Int }
  type Query { visit: Visit!, slow: Boolean! }
  type Mutation { login(user: String!): Boolean!, logout: Boolean! }
`
const resolvers = {
  Query: {
    visit(_parent, _args, { session }) {
      if (session.user) session.views = (session.views ?? 0) + 1
      return { user: session.user, views: session.views }
    },
    async slow(_parent, _args, { session }) {
      session.views += 1
      await slow()
      return true
    },
  },
  Mutation: {
    async login(_parent, { user }, { req }) {
      await new Promise((resolve) => req.session.regenerate(resolve))
      req.session.user = user
      return true
    },
    async logout(_parent, _args, { req }) {
      await new Promise((resolve) => req.session.destroy(resolve))
      return true
    },
  },
}

/** The visits are those of every app; here each is an operation of GraphQL. */
const OPERATIONS = {
  'GET /': () => '{ visit { user views } }',
  'POST /login': ({ user }) => `mutation { login(user: "${user}") }`,
  'POST /logout': () => 'mutation { logout }',
  'GET /slow': () => '{ slow }',
}

async function start() {
  const apollo = new ApolloServer({ typeDefs, resolvers })
  await apollo.start()
  const app = express()
  const store = new MemoryStore({ checkPeriod: 60_000 })
  app.use(session({ secret: 'secret', resave: false, saveUninitialized: false, store }))
  app.use(express.json())
  const context = async ({ req }) => ({ req, session: req.session })
  app.use('/graphql', expressMiddleware(apollo, { context }))
  const server = app.listen(0, '127.0.0.1', () => announce(server.address().port))

  app.use(async (req, res) => {
    const query = OPERATIONS[`${req.method} ${req.path}`](req.body ?? {})
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie: req.headers.cookie ?? '' },
      body: JSON.stringify({ query }),
    })
    for (const cookie of answer.headers.getSetCookie()) res.append('set-cookie', cookie)
    const { data, errors } = await answer.json()
    if (errors) return res.status(500).json(errors)
    const { user, views } = data.visit ?? {}
    res.json({ user: user ?? undefined, views: views ?? undefined })
  })
}

start()
