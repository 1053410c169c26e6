// On every page: charts, drawn once they come near; tables and charts as CSV files; a member's pictures beside the defaults.
"use strict";

(() => {
  const element = (name, kind, text) => {
    const made = document.createElement(name);
    made.className = kind;
    if (text) made.textContent = text;
    return made;
  };

  // Charts. The library is fetched when the first one comes near.
  const script = (address) =>
    new Promise((resolve, reject) => {
      const made = document.createElement("script");
      made.src = address;
      made.onload = resolve;
      made.onerror = () => reject(new Error(`${address} could not be read`));
      document.head.append(made);
    });
  let library = null;
  const ready = () => (library ??= Promise.all([script("assets/vega.js"), script("assets/plots.js")]));

  const rowsOf = (figure) => JSON.parse(figure.querySelector(".rows").textContent);

  const draw = async (figure) => {
    await ready();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const text = JSON.stringify(window.keyartPlots[figure.dataset.plot]);
    const spec = JSON.parse(text.replace(/var\((--[a-z]+)\)/g, (_, name) => colour(name)));
    const label = { labelColor: colour("--ink"), titleColor: colour("--soft"), labelFontSize: 12, titleFontSize: 12 };
    const font = getComputedStyle(document.body).fontFamily.replaceAll('"', "'");
    const rows = rowsOf(figure);
    spec.datasets = { rows };
    spec.autosize = { type: "fit-x", contains: "padding" };
    // A step a line, as a number: beside a width that fits its container Vega-Lite warns of steps.
    if (spec.height.step) spec.height = spec.height.step * new Set(rows.map((row) => row.label ?? row.feature)).size;
    spec.padding = figure.dataset.plot === "film" ? 0 : 5;
    spec.background = null;
    spec.config = {
      font,
      view: { stroke: null },
      axis: { ...label, gridColor: colour("--rule"), domainColor: colour("--rule"), tickColor: colour("--rule") },
      legend: label,
    };
    // ast: no text is ever turned into code, as the page's policy demands.
    // logLevel 1 (errors): a film without faces has a layer without rows, which is no fault.
    const how = { mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false, logLevel: 1 };
    const canvas = figure.querySelector(".canvas");
    await window.vegaEmbed(canvas, spec, how);
    // The figure says what it is and the table behind it holds the figures; the drawing itself says nothing more.
    canvas.querySelector("svg").setAttribute("aria-hidden", "true");
    figure.dataset.drawn = "yes";
  };

  const figures = [...document.querySelectorAll("figure[data-plot]")];
  const near = new IntersectionObserver(
    (seen) => {
      for (const one of seen.filter((one) => one.isIntersecting)) {
        near.unobserve(one.target);
        draw(one.target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const figure of figures) near.observe(figure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    figures.filter((figure) => figure.dataset.drawn).forEach(draw),
  );

  // CSV. A cell that a spreadsheet would take for a formula is quoted; the minus of print becomes that of numbers.
  const cell = (value) => {
    let text = String(value ?? "").trim().replace(/^\u2212(?=[\d.])/, "-").replace(/\s+/g, " ");
    if (/^[=@+\t-]/.test(text) && !/^[-+]?[\d.,]+%?( to [-+]?[\d.,]+%?)?$/.test(text)) text = `'${text}`;
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const save = (name, lines) => {
    const link = document.createElement("a");
    const content = lines.map((line) => line.map(cell).join(",")).join("\r\n");
    link.href = URL.createObjectURL(new Blob(["\ufeff", content, "\r\n"], { type: "text/csv" }));
    link.download = `${name.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60)}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const linesOfRows = (rows) => {
    const heads = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    return [heads, ...rows.map((row) => heads.map((head) => row[head]))];
  };
  const linesOfTable = (table) => [...table.rows].map((row) => [...row.cells].map((one) => one.textContent));
  const offer = (after, caption, lines) => {
    const button = element("button", "csv", "CSV");
    button.type = "button";
    button.setAttribute("aria-label", `Download as CSV: ${caption}`);
    button.addEventListener("click", () => save(caption, lines()));
    after.append(button);
  };
  for (const figure of figures) {
    const caption = figure.querySelector("figcaption");
    const name = caption.textContent;
    offer(caption, `${name} (data)`, () => linesOfRows(rowsOf(figure)));
  }
  for (const table of document.querySelectorAll("main table")) {
    const heading = table.closest("section")?.querySelector("h2")?.textContent ?? document.title;
    const name = table.caption?.textContent.trim() || heading;
    const bar = element("p", "csv-bar");
    offer(bar, name, () => linesOfTable(table));
    (table.closest(".scroll") ?? table).after(bar);
  }

  // A member's pictures beside the defaults: one button turns all of them.
  for (const group of document.querySelectorAll(".compare")) {
    const buttons = [...group.querySelectorAll("button")];
    for (const button of buttons)
      button.addEventListener("click", () => {
        for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
        for (const pane of group.closest(".member").querySelectorAll(".swipe"))
          pane.scrollTo({ left: Number(button.dataset.side) * pane.clientWidth, behavior: "smooth" });
      });
  }
})();
