// The page: contents, facts, sections, sortable tables; light and dark.

const charts = [];
const framed = [];
let error_count = 0;

function report_error(where, error) {
  ++error_count;
  return element("p", { class: "error" }, where + ": " + error.message);
}

function paragraphs(text) {
  return text.split(/\n\s*\n/).filter((part) => part.trim()).map((part) => element("p", {}, part.trim()));
}

/** The number a cell begins with, for sorting and alignment; NaN when there is none. */
function cell_number(text) {
  const match = /^\s*([+\-\u2212]?\d[\d\s,]*\.?\d*(?:[eE][+\-]?\d+)?|[+\-\u2212]?\.\d+)/.exec(text);
  return match ? Number(match[1].replace(/[\s,]/g, "").replace("\u2212", "-")) : NaN;
}

function is_blank(text) { return text === "" || text === "\u2013" || text === "-" || text === "nan"; }

function build_table(block) {
  const numeric = block.header.map((_, c) => {
    const cells = block.rows.map((row) => row[c]).filter((text) => !is_blank(text));
    return cells.length > 0 && cells.every((text) => !Number.isNaN(cell_number(text)));
  });
  const body = element("tbody");
  const rows = block.rows.map((cells) => element("tr", {},
    ...cells.map((text, c) => element("td", numeric[c] ? { class: "number" } : {}, text))));
  body.append(...rows);
  const heads = block.header.map((name, c) => {
    const head = element("th", { scope: "col", tabindex: "0", "aria-sort": "none" }, name);
    if (numeric[c]) { head.className = "number"; }
    return head;
  });
  const sort_by = (c) => {
    const down = heads[c].getAttribute("aria-sort") === "ascending";
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    heads[c].setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = rows.map((row, i) => i);
    const sign = down ? -1 : 1;
    order.sort((a, b) => sign * compare_cells(block.rows[a][c], block.rows[b][c], numeric[c]) || a - b);
    body.append(...order.map((i) => rows[i]));
  };
  heads.forEach((head, c) => {
    head.addEventListener("click", () => sort_by(c));
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") { sort_by(c); } });
  });
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  const node = element("div", { class: "block" });
  if (block.title) { node.append(element("h3", {}, block.title)); }
  node.append(element("div", { class: "table-box" }, table));
  return node;
}

function compare_cells(a, b, numeric) {
  if (is_blank(a) || is_blank(b)) { return Number(is_blank(a)) - Number(is_blank(b)); }
  return numeric ? cell_number(a) - cell_number(b) : a.localeCompare(b, "en", { numeric: true });
}

function build_pictures(block, width) {
  const node = element("div", { class: "block" });
  const row = element("div", { class: "pictures" });
  const views = [];
  const save = element("button", { type: "button", class: "save", title: "Save all as one PNG" }, "PNG");
  save.addEventListener("click", () => save_grid(views, block.columns, block.title, block.file || block.title));
  if (block.title) { node.append(element("h3", {}, block.title, ...(block.columns > 0 ? [save] : []))); }
  if (block.columns > 0) {
    row.classList.add("grid");
    row.style.gridTemplateColumns = `repeat(${block.columns}, max-content)`;
  }
  for (const picture of block.pictures) {
    try {
      const view = new PictureView(picture, block.columns > 0 ? width / block.columns - 14 : width - 2, 760);
      views.push(view);
      if (view.axes) { framed.push(view); }
      // A lone picture leaves room for its controls beside it.
      if (block.pictures.length === 1 && view.css_width + 330 < width) { view.node.classList.add("beside"); }
      row.append(view.node);
    } catch (error) {
      row.append(report_error(picture.title, error));
    }
  }
  node.append(row);
  return node;
}

function fill_section(parent, blocks) {
  let grid = null;
  for (const block of blocks) {
    if (block.type === "chart") {
      if (!grid) {
        grid = element("div", { class: "charts" });
        parent.append(grid);
      }
      const view = new ChartView(block);
      grid.append(view.node);
      charts.push(view);
      continue;
    }
    close_grid(grid);
    grid = null;
    if (block.type === "text") {
      const texts = paragraphs(block.text);
      if (block.problem) { texts.forEach((node) => node.classList.add("error")); }
      parent.append(...texts);
    } else if (block.type === "table") {
      parent.append(build_table(block));
    } else {
      parent.append(build_pictures(block, parent.clientWidth));
    }
  }
  close_grid(grid);
}

function close_grid(grid) {
  if (grid && grid.children.length === 1) { grid.firstChild.classList.add("alone"); }
}

function build_contents(report) {
  const list = element("ol");
  report.sections.forEach((section, i) => {
    list.append(element("li", {}, element("a", { href: "#section-" + (i + 1) }, section.title)));
  });
  const toggle = element("button", { type: "button" }, "Dark");
  toggle.addEventListener("click", () => set_theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  document.querySelector("nav.contents").append(element("h2", {}, "Contents"), list, toggle);
}

function set_theme(theme) {
  document.documentElement.dataset.theme = theme;
  const toggle = document.querySelector("nav.contents button");
  if (toggle) { toggle.textContent = theme === "dark" ? "Light colours" : "Dark colours"; }
  charts.forEach((view) => { if (view.plot) { view.plot.redraw(false, true); } });
  framed.forEach((view) => view.draw());
}

function watch_theme() {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  set_theme(system.matches ? "dark" : "light");
  system.addEventListener("change", () => set_theme(system.matches ? "dark" : "light"));
  let before = "light";
  window.addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    set_theme("light");
    charts.forEach((view) => view.fit_paper());
  });
  window.addEventListener("afterprint", () => {
    set_theme(before);
    charts.forEach((view) => view.fit_page());
  });
}

function build_page() {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  page_data = report;
  const main = document.querySelector("main");
  build_contents(report);
  watch_theme();
  main.append(element("header", {}, element("h1", {}, report.title)));
  if (report.subtitle) { main.firstChild.append(element("p", { class: "subtitle" }, report.subtitle)); }
  if (report.facts.length > 0) {
    main.append(element("dl", { class: "facts" }, ...report.facts.map(([name, value]) =>
      element("div", { class: "fact" }, element("dt", {}, name),
        element("dd", value.length > 12 ? { class: "long" } : {}, value)))));
  }
  report.sections.forEach((section, i) => {
    const node = element("section", {}, element("h2", { id: "section-" + (i + 1) }, section.title));
    main.append(node);
    fill_section(node, section.blocks);
  });
  for (const view of charts) {
    try {
      view.mount();
    } catch (error) {
      view.node.append(report_error("chart", error));
    }
  }
  follow_scroll();
}

/** Marks the section being read in the contents. */
function follow_scroll() {
  const links = [...document.querySelectorAll("nav.contents a")];
  const heads = [...document.querySelectorAll("main h2")];
  const mark = () => {
    const passed = heads.filter((head) => head.getBoundingClientRect().top < 120).length;
    links.forEach((link, i) => link.classList.toggle("here", i === Math.max(0, passed - 1)));
  };
  window.addEventListener("scroll", mark, { passive: true });
  mark();
}

/** Canvases without a painted pixel, which a test wants to know. */
function count_blank() {
  return [...document.querySelectorAll(".uplot canvas, canvas.view")].filter((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return !data.some((byte, i) => i % 4 === 3 && byte > 0);
  }).length;
}

window.addEventListener("error", () => { document.body.dataset.errors = String(++error_count); });
try {
  build_page();
} catch (error) {
  document.querySelector("main").append(report_error("This page could not be drawn", error));
}
// Charts are painted in the next frame; only then is the page complete.
requestAnimationFrame(() => requestAnimationFrame(() => {
  document.body.dataset.errors = String(error_count);
  document.body.dataset.charts = String(document.querySelectorAll(".uplot canvas").length);
  document.body.dataset.pictures = String(document.querySelectorAll("canvas.view").length);
  document.body.dataset.blank = String(count_blank());
  document.body.dataset.ready = "1";
}));
