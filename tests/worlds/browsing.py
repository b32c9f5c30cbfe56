"""What tests in a browser measure of a page."""

LEAST_CONTRAST = 4.5  # of text against what is behind it: WCAG 2, level AA
# The contrast of every text, the least first, and whose it is.
CONTRAST = """() => {
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    if (["SCRIPT", "title", "desc"].includes(one.tagName)) continue;
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    const style = getComputedStyle(one);
    const color = parts(one.ownerSVGElement ? style.fill : style.color).slice(0, 3);
    const [a, b] = [light(color), light(behind(one))].sort((x, y) => y - x);
    found.push([(a + .05) / (b + .05), one.tagName + "." + one.getAttribute("class")]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}"""
