() => {
  // The texts in sight whose contrast with what is behind them is below 4.5, as WCAG 2 AA measures it.
  const colour = (text) => { const [red, green, blue, alpha] = text.match(/[\d.]+/g).map(Number); return [red, green, blue, alpha ?? 1]; };
  const over = (above, below) => [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3])).concat(1);
  const behind = (node) => {
    const below = node.parentElement ? behind(node.parentElement) : [255, 255, 255, 1];
    return over(colour(getComputedStyle(node).backgroundColor), below);
  };
  const light = (rgb) => {
    const [red, green, blue] = rgb.map((value) => value / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || !node.checkVisibility({ visibilityProperty: true }) || node.closest('[disabled]')) continue;
    const ground = behind(node);
    const [dark, bright] = [light(ground), light(over(colour(getComputedStyle(node).color), ground))].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < 4.5) faint.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return faint;
}
