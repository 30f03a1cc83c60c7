// What can be measured of a page in a browser; each function gives what is wrong, as text.
(() => {
  const all = (wanted, inside = document) => [...inside.querySelectorAll(wanted)];
  const short = (text) => text.trim().slice(0, 60);
  const shown = (element) => {
    const box = element.getBoundingClientRect();
    return element.checkVisibility() && box.width > 0 && box.height > 0;
  };

  /** Elements that are read, each with the text that is directly in it. */
  const written = () =>
    all("body *")
      .filter((one) => !["TITLE", "STYLE", "SCRIPT", "title"].includes(one.tagName) && shown(one))
      .map((one) => [one, [...one.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("")])
      .filter(([, text]) => text.trim());

  /** What is wider than the window; where there is no scrolling, boxes that scroll are no excuse. */
  const wide = (scrolls) => {
    const room = document.documentElement.clientWidth;
    const found = all("body *")
      .filter((one) => shown(one) && !(scrolls && one.parentElement.closest(".scroll")))
      .filter((one) => one.getBoundingClientRect().right > room + 1 || one.getBoundingClientRect().left < -1)
      .map((one) => `${one.tagName} ${short(one.textContent)}`);
    const stuck = all(".scroll")
      .filter((one) => scrolls && one.scrollWidth > one.clientWidth + 1)
      .filter((one) => !["auto", "scroll"].includes(getComputedStyle(one).overflowX) || one.tabIndex < 0)
      .map((one) => `cannot be scrolled: ${short(one.textContent)}`);
    const whole = document.documentElement.scrollWidth > room + 1 ? ["the page"] : [];
    return [...whole, ...found, ...stuck];
  };

  const drawings = () => all("svg").filter(shown).map((svg) => [svg, all("text", svg).filter((t) => t.textContent)]);

  /** Texts of figures whose letters are smaller than so many pixels. */
  const small = (pixels) =>
    drawings().flatMap(([, texts]) =>
      texts
        .map((text) => {
          const { a, b } = text.getScreenCTM();
          return [parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b), text.textContent];
        })
        .filter(([size]) => size < pixels)
        .map(([size, text]) => `${size.toFixed(1)} px: ${text}`),
    );

  /** The box of a text without the room that a font leaves above and below its letters. */
  const inked = (text) => {
    const box = text.getBoundingClientRect();
    const away = box.height > 2 * box.width ? [1, 0] : [0, 0.2 * box.height];
    return { left: box.left + away[0], right: box.right - away[0], top: box.top + away[1], bottom: box.bottom - away[1] };
  };
  const meet = (a, b) => a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom && b.top < a.bottom;
  const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;

  const isUnder = (shape, box) => {
    const place = shape.getBoundingClientRect();
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    return shape.tagName === "rect" && place.left <= x && x <= place.right && place.top <= y && y <= place.bottom;
  };

  /** Texts of figures that cover each other or leave the drawing or their cell. */
  const crowded = () =>
    drawings().flatMap(([svg, texts]) => {
      const boxes = texts.map(inked);
      const edge = svg.getBoundingClientRect();
      const found = [];
      boxes.forEach((box, i) => {
        const name = texts[i].textContent;
        if (!inside(box, edge)) found.push(`leaves the drawing: ${name}`);
        const cell = texts[i].previousElementSibling;
        if (texts[i].matches(".cell") && isUnder(cell, box) && !inside(box, cell.getBoundingClientRect())) found.push(`leaves its cell: ${name}`);
        for (let j = 0; j < i; j++) if (meet(box, boxes[j])) found.push(`${texts[j].textContent} | ${name}`);
      });
      return found;
    });

  const parts = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const luminance = ({ rgb }) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };

  /** The colour that is behind a text: that of the last shape drawn under its middle, or the page's. */
  const behind = (element) => {
    if (element.tagName === "text") {
      const box = element.getBoundingClientRect();
      const under = all("rect, text", element.closest("svg"));
      const shapes = under.slice(0, under.indexOf(element)).filter((shape) => isUnder(shape, box));
      if (shapes.length) return parts(getComputedStyle(shapes.at(-1)).fill);
    }
    for (let one = element; one; one = one.parentElement) {
      const found = parts(getComputedStyle(one).backgroundColor);
      if (found.alpha === 1) return found;
    }
    return parts("rgb(255, 255, 255)");
  };

  /** Texts that stand out too little from what is behind them. */
  const pale = (least) =>
    written()
      .map(([one, text]) => {
        const style = getComputedStyle(one);
        return [ratio(parts(one.tagName === "text" ? style.fill : style.color), behind(one)), text];
      })
      .filter(([found]) => found < least)
      .map(([found, text]) => `${found.toFixed(2)}: ${short(text)}`);

  /** How a character looks in a font, as a text that can be compared. */
  const board = new OffscreenCanvas(48, 48).getContext("2d", { willReadFrequently: true });
  const look = (character, family, lang) => {
    board.clearRect(0, 0, 48, 48);
    board.font = `24px ${family}`;
    if ("lang" in board) board.lang = lang;
    board.fillText(character, 8, 34);
    return board.getImageData(0, 0, 48, 48).data.join();
  };
  /** Characters that are drawn as the box that stands for a missing one. */
  const boxes = (text, family, lang = "en") => {
    // U+0378 and U+0EFF are no characters, so no font has them.
    const missing = new Set(["\u0378", "\u0eff"].map((one) => look(one, family, lang)));
    return [...new Set(text)].filter((one) => /[^\p{M}\p{Z}\p{C}]/u.test(one) || one === "\u0379").filter((one) => missing.has(look(one, family, lang)));
  };
  const languageOf = (element) => element.closest("[lang]").getAttribute("lang");
  const undrawn = () => {
    const together = new Map();
    for (const [one, text] of written()) {
      const key = JSON.stringify([getComputedStyle(one).fontFamily, languageOf(one)]);
      together.set(key, (together.get(key) ?? "") + text);
    }
    return [...together].flatMap(([key, text]) => boxes(text, ...JSON.parse(key)).map((one) => `${one} in ${key}`));
  };

  const scripts = [
    [/[\p{Script=Hiragana}\p{Script=Katakana}]/u, ["ja"]],
    [/\p{Script=Thai}/u, ["th"]],
    [/\p{Script=Hangul}/u, ["ko"]],
    [/\p{Script=Cyrillic}/u, ["ru"]],
    [/\p{Script=Han}/u, ["zh", "ja"]],
  ];
  /** Texts whose language is told wrongly; what a model said may be in any. */
  const mislabelled = () => {
    const free = new Set(all("table.texts tr").flatMap((row) => [...row.cells].slice(-2)));
    const wrong = written()
      .filter(([one]) => !free.has(one.closest("td")))
      .flatMap(([one, text]) =>
        scripts.filter(([script, languages]) => script.test(text) && !languages.includes(languageOf(one))).map(() => `${languageOf(one)}: ${short(text)}`),
      );
    const rows = all("table.texts tbody tr").flatMap((row) =>
      [...row.cells]
        .slice(1)
        .filter((cell) => cell.lang !== row.querySelector("th small").textContent)
        .map((cell) => `${cell.lang} in a row of ${row.cells[0].textContent.trim()}: ${short(cell.textContent)}`),
    );
    return [...wrong, ...rows];
  };

  /** Boxes that show only a part of what they hold. */
  const cut = (wanted) => all(wanted).filter((one) => shown(one) && one.scrollWidth > one.clientWidth).map((one) => short(one.textContent));
  /** What leaves the sight when the boxes around it are moved to their ends. */
  const moved = (wanted) =>
    all(".scroll")
      .filter((box) => shown(box) && box.scrollWidth > box.clientWidth)
      .flatMap((box) => {
        box.scrollLeft = box.scrollWidth;
        const edge = box.getBoundingClientRect();
        return all(wanted, box).filter((one) => !inside(one.getBoundingClientRect(), edge)).map((one) => short(one.textContent));
      });

  const unfold = () => all("details").forEach((one) => (one.open = true));
  const count = (wanted) => all(wanted).length;
  window.page = { wide, small, crowded, pale, undrawn, boxes, mislabelled, cut, moved, unfold, count };
})();
