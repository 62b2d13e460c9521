// What a project pastes, applied to every copy of the driver that is loaded here.
import { createRequire } from 'node:module'
import { neonConfig } from '@neondatabase/serverless'
import WebSocket from 'ws'

const require = createRequire(import.meta.url)

// neonConfig belongs to a copy: the ESM one is ours, Drizzle's, Kysely's and Prisma's; what is
// loaded by require() has another, and @vercel/postgres depends on an older driver.
await import(process.env.SNIPPET)
const older = createRequire(require.resolve('@vercel/postgres'))('@neondatabase/serverless')
export const common = require('@neondatabase/serverless')
const pasted = ['fetchEndpoint', 'wsProxy', 'useSecureWebSocket']
for (const copy of [common, older]) {
  for (const key of pasted) copy.neonConfig[key] = neonConfig[key]
}

// With --experimental-websocket, or from version 22 on, Node has one of its own.
export const webSockets = { ws: WebSocket, own: globalThis.WebSocket }
export const useWebSocket = (name) => {
  if (name === 'own' && !webSockets.own) throw new Error('this Node has no WebSocket of its own')
  neonConfig.webSocketConstructor = name === 'own' ? undefined : WebSocket
}
useWebSocket('ws')
