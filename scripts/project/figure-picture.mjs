// The picture of the README: the first figure of a report, in light, sharp enough for a good screen.

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
