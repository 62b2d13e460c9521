// Waiting for what has to come true.
import { setTimeout } from 'node:timers/promises'

const PATIENCE = 20_000

export async function until(holds, what) {
  for (const end = Date.now() + PATIENCE; !(await holds()); await setTimeout(10))
    if (Date.now() > end) throw new Error(`not in ${PATIENCE} ms: ${what}`)
}
