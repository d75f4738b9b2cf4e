// The picture of the README: the first figure of a report, in light, sharp enough for a good screen.
// Usage: node scripts/project/figure-picture.mjs REPORT.html PICTURE.png

import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Browser, findChromium } from './browser.mjs'
import { isMain } from './source-text.mjs'

const WIDTH = 960
const PADDING = 14

/**
 * @param {import('./browser.mjs').Browser} browser with a report open
 * @returns {Promise<Buffer>} PNG
 */
export async function figurePicture(browser) {
  await browser.show({ width: WIDTH, height: 1_000, scale: 2 })
  const box = await browser.evaluate(
    `(() => { const { x, y, width, height } = document.querySelector('svg.plot').getBoundingClientRect();
      return { x: x + scrollX, y: y + scrollY, width, height } })()`,
  )
  return browser.picture({
    x: box.x - PADDING,
    y: box.y - PADDING,
    width: box.width + 2 * PADDING,
    height: box.height + 2 * PADDING,
  })
}

if (isMain(import.meta.url)) {
  const [page, picture] = process.argv.slice(2)
  const chromium = findChromium()
  if (page === undefined || picture === undefined || chromium === null) {
    console.error(
      chromium === null
        ? 'figure-picture: there is no chromium here'
        : 'figure-picture: REPORT.html PICTURE.png',
    )
    process.exit(1)
  }
  const browser = await Browser.start(chromium)
  try {
    await browser.open(pathToFileURL(page).href)
    writeFileSync(picture, await figurePicture(browser))
  } finally {
    await browser.close()
  }
}
