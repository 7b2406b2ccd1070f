import { makeBox } from './lab.ts'
import { ProgramBox } from './program-box.ts'

// A suite that starts the boxes named, says what there is of them, and waits to be killed.
const nowhere = { http: 'http://127.0.0.1:9', https: 'https://127.0.0.1:9' }
const boxes = process.argv.slice(2).map(makeBox)
await Promise.all(boxes.map((box) => box.start(nowhere)))
const traces = boxes.flatMap((box) => (box instanceof ProgramBox ? [box.traces] : []))
const all = (pick: 'groups' | 'folders') => traces.flatMap((each): (number | string)[] => each[pick])
console.log(JSON.stringify({ groups: all('groups'), folders: all('folders') }))
setInterval(() => {}, 60_000)
