'use strict'

module.exports = async (req, res) => {
  await new Promise((resolve) => req.session.regenerate(resolve))
  req.session.user = req.body.user
  res.json({})
}
