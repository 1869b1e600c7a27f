'use strict'

// The visits are those of every app: of / and /login, not of /api.
const PATHS = {
  '/': '/api/views',
  '/login': '/api/login',
  '/logout': '/api/logout',
  '/slow': '/api/slow',
}

module.exports = {
  rewrites: async () => ({
    beforeFiles: Object.entries(PATHS).map(([source, destination]) => ({ source, destination })),
  }),
}
