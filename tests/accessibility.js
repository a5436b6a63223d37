// Judges a page by axe, which is loaded before; see accessibility.py.
({
  // All rules but those of colours, over every element. Returns [rule, elements] of each violation.
  async judgeStructure(colourRules) {
    scrollTo(0, 0);
    const without = Object.fromEntries(colourRules.map((rule) => [rule, { enabled: false }]));
    const rules = { "target-size": { enabled: true }, ...without };
    const { violations } = await axe.run(document, { resultTypes: ["violations"], rules });
    return violations.map(this.named);
  },

  // The rules of colours, over the first `alike` elements of each style that is not in `seen`. Returns
  // { found: [rule, elements] of each violation, passed: the styles that passed }.
  async judgeColours([colourRules, seen, alike]) {
    const styles = this.newStyles(new Set(seen));
    const include = [...styles.values()].flatMap((elements) => elements.slice(0, alike));
    if (!include.length) return { found: [], passed: [] };
    const resultTypes = ["violations", "passes"];
    const options = { runOnly: colourRules, resultTypes, elementRef: true };
    const { violations, passes } = await axe.run({ include }, options);
    const judged = new Set(passes.flatMap(({ nodes }) => nodes.map(({ element }) => element)));
    const passed = [...styles].filter(([, elements]) => elements.some((each) => judged.has(each)));
    return { found: violations.map(this.named), passed: passed.map(([style]) => style) };
  },

  named: ({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))],

  // The visible elements with text by their style, without the known styles.
  newStyles(known) {
    const styles = new Map();
    for (const element of document.querySelectorAll("body *")) {
      const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if ((!text && !element.matches("input, select, textarea")) || !element.checkVisibility()) continue;
      const style = this.styleOf(element);
      if (!known.has(style)) styles.set(style, [...(styles.get(style) ?? []), element]);
    }
    return styles;
  },

  // All that decides the result of a rule of colours: the element's own style, and what stands behind it.
  styleOf(element) {
    const own = getComputedStyle(element);
    const font = [own.color, own.fontSize, own.fontWeight, own.textShadow, own.textDecorationLine];
    const around = [own.borderBottom, own.position, getComputedStyle(element.parentElement).color];
    const behind = [];
    for (let at = element; at; at = at.parentElement) {
      const { backgroundColor, backgroundImage, opacity, filter } = getComputedStyle(at);
      const layer = [backgroundColor, backgroundImage, opacity, filter].join();
      if (layer !== "rgba(0, 0, 0, 0),none,1,none") behind.push(layer);
    }
    return JSON.stringify([element.matches("a, [role=link]"), this.isExempt(element), font, around, behind]);
  },

  // What is disabled needs no contrast.
  isExempt: (element) =>
    element.matches(":disabled, :disabled *, [aria-disabled=true], [aria-disabled=true] *") ||
    Boolean(element.closest("label")?.control?.disabled),
});
