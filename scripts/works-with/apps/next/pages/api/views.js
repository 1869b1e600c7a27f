'use strict'

module.exports = (req, res) => {
  const { session } = req
  if (session.user) session.views = (session.views ?? 0) + 1
  res.json({ user: session.user, views: session.views })
}
