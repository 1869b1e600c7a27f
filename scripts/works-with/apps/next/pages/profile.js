'use strict'

/** A page that the server renders with the session. */
exports.__esModule = true
exports.default = ({ user }) => `profile of ${user}`
exports.getServerSideProps = async ({ req }) => ({ props: { user: req.session.user ?? 'nobody' } })
