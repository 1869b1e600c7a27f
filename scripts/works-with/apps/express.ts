import express from 'express'
import session from 'express-session'
import createMemoryStore from 'memorystore-rs'
import gate from './gate.cjs'

declare module 'express-session' {
  interface SessionData {
    user: string
    views: number
  }
}

const MemoryStore = createMemoryStore(session)
const store = new MemoryStore({ checkPeriod: 60_000 })

const app = express()
app.use(express.json())
app.use(session({ secret: 'secret', resave: false, saveUninitialized: false, store }))
app.get('/', ({ session }, res) => {
  if (session.user) session.views = (session.views ?? 0) + 1
  res.json({ user: session.user, views: session.views })
})
app.post('/login', (req, res, next) => {
  req.session.regenerate((err) => {
    if (err) return next(err)
    req.session.user = req.body.user
    res.json({})
  })
})
app.post('/logout', (req, res, next) => {
  req.session.destroy((err) => (err ? next(err) : res.json({})))
})
app.get('/slow', async (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  await gate.slow()
  res.json({})
})
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') gate.announce(address.port)
})
