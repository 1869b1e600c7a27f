import type { AddressInfo } from 'node:net'
import express from 'express'
import session from 'express-session'
import createMemoryStore from 'memorystore-rs'

const { NODE_ENV, PORT = '3000', SESSION_SECRET } = process.env
if (!SESSION_SECRET) throw new Error('set SESSION_SECRET to a long random text')

const DAY = 86_400_000
const MemoryStore = createMemoryStore(session)
const store = new MemoryStore({ checkPeriod: DAY, max: 100_000, user: 'user' })

const app = express()
app.set('trust proxy', NODE_ENV === 'production')
app.use(express.json())
app.use(
  session({
    secret: SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 7 * DAY, sameSite: 'lax', secure: NODE_ENV === 'production' },
    store,
  }),
)

app.get('/', ({ session }, res) => {
  if (session.user !== undefined) session.views = (session.views ?? 0) + 1
  res.json({ user: session.user, views: session.views })
})

// Check a password here. A new session id at the login keeps an attacker from choosing it.
app.post('/login', (req, res, next) => {
  const user: unknown = req.body?.user
  if (typeof user !== 'string' || user === '') {
    res.status(400).json({ error: 'user has to be a text' })
    return
  }
  req.session.regenerate((err) => {
    if (err) return next(err)
    req.session.user = user
    res.json({ user })
  })
})

app.post('/logout', (req, res, next) => {
  req.session.destroy((err) => (err ? next(err) : res.json({})))
})

const server = app.listen(Number(PORT), () => {
  const { port } = server.address() as AddressInfo
  console.log(`listening on http://localhost:${port}`)
})
