// What two drivers say of one thing, in a form in which it has to be the same.
import { deepStrictEqual } from 'node:assert'

const FIELD = ['name', 'tableID', 'columnID', 'dataTypeID', 'dataTypeSize', 'dataTypeModifier']
const ERROR = [
  'message',
  'severity',
  'code',
  'detail',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'where',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine',
]
const pick = (from, keys) => Object.fromEntries(keys.map((key) => [key, from[key] ?? undefined]))

// Each driver has its own class for a row's Buffer or Interval; what is in them is compared.
export function plain(value) {
  if (ArrayBuffer.isView(value)) return { bytes: Buffer.from(value).toString('hex') }
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Date) return { date: String(value), time: value.getTime() }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]))
}

export const result = ({ command, rowCount, rows, fields }) => ({
  command,
  rowCount,
  rows: plain(rows),
  fields: (fields ?? []).map((field) => pick(field, FIELD)),
})

export const refusal = (error) => pick(error, ERROR)

// The same of `ask`: its result, or the fields of the error that it ends with.
export async function outcome(ask) {
  try {
    return result(await ask())
  } catch (error) {
    if (error.code === undefined) throw error
    return refusal(error)
  }
}

export function same(actual, expected, what) {
  try {
    deepStrictEqual(actual, expected)
  } catch (error) {
    throw new Error(`${what}: ${error.message}`)
  }
}
