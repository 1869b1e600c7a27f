'use strict'

module.exports = async (req, res) => {
  await new Promise((resolve) => req.session.destroy(resolve))
  res.json({})
}
