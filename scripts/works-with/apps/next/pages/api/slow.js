'use strict'

module.exports = async (req, res) => {
  req.session.views += 1
  await req.slow()
  res.json({})
}
