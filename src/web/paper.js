// What is saved as PNG: pictures and grids of them with titles, axes and legends, on white.

// Saved pictures are meant for paper whatever the page looks like.
const PAPER = { "--paper": "#ffffff", "--ink": "#1b222c", "--faint": "#5b6675", "--rule": "#9aa3ae",
  "--grid": "#e8ebef", "--text": "Helvetica, Arial, \"DejaVu Sans\", sans-serif" };

function theme_color(name, on_paper = false) {
  return on_paper ? PAPER[name] : getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Pixels of a saved PNG per CSS pixel, less where the canvas would be too large for the browser. */
function png_scale(width, height) {
  return Math.min(page_data.dpi / 96, 16000 / Math.max(width, height), Math.sqrt(1e8 / (width * height)));
}

function save_canvas(canvas, name) {
  canvas.toBlob((blob) => {
    const url = URL.createObjectURL(blob);
    element("a", { download: name.replace(/[^\w.+-]+/g, "_") + ".png", href: url }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  });
}

/** Lays out legend entries in lines no wider than `width`. @return their places and the height */
function layout_keys(context, entries, width) {
  let [x, y] = [0, 0];
  const places = entries.map((entry) => {
    const needed = 26 + context.measureText(entry.text).width;
    if (x > 0 && x + needed > width) { [x, y] = [0, y + 18]; }
    const place = { ...entry, x, y };
    x += needed + 10;
    return place;
  });
  return { places, height: entries.length > 0 ? y + 20 : 0 };
}

function draw_keys(context, places, left, top) {
  for (const key of places) {
    const [x, y] = [left + key.x + 8, top + key.y + 9];
    context.save();
    context.strokeStyle = key.color;
    context.fillStyle = key.color;
    context.lineWidth = 1.6;
    context.setLineDash(key.dashed ? [4, 3] : []);
    context.beginPath();
    if (key.shape === "band") {
      context.globalAlpha = 0.25;
      context.rect(x - 7, y - 4, 14, 8);
    } else if (key.shape === "line" || key.shape === "steps") {
      context.moveTo(x - 7, y);
      context.lineTo(x + 7, y);
    } else {
      trace_shape(context, key.shape, x, y, 5);
    }
    if (key.filled || key.shape === "band") { context.fill(); } else { context.stroke(); }
    context.restore();
    context.fillStyle = PAPER["--ink"];
    context.fillText(key.text, x + 12, y);
  }
}

/** Size in CSS pixels of the picture with title, axes, colour bar and legend. */
function paper_size(view, context) {
  const { left, right, top, bottom } = view.room;
  const width = Math.max(view.css_width + left + right + 8, 150);
  context.font = "12px " + PAPER["--text"];
  const entries = view.data.markers.filter((group, index) => group.label && !view.hidden.has(index)).map((group) => ({
    shape: group.shape, color: group.color, dashed: group.dashed,
    text: group.label + (group.count === undefined ? "" : " (" + group.count + ")") }));
  const keys = layout_keys(context, entries, width - 8);
  const title = view.data.title ? 20 : 4;
  const bar = view.data.color_bar ? 22 : 4;
  return { width, keys, title, bar, height: title + top + view.css_height + bottom + bar + keys.height };
}

/** Draws the picture as it is saved with its corner at the origin of the context. */
function draw_on_paper(view, context, scale) {
  const size = paper_size(view, context);
  const [left, top] = [4 + view.room.left, size.title + view.room.top];
  context.fillStyle = PAPER["--ink"];
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = "13px " + PAPER["--text"];
  if (view.data.title) { context.fillText(view.data.title, 4, 10, size.width - 8); }
  context.save();
  context.beginPath();
  context.rect(left, top, view.css_width, view.css_height);
  context.clip();
  context.translate(left, top);
  view.draw_view(context, scale);
  context.restore();
  if (view.data.axes) {
    context.strokeStyle = PAPER["--ink"];
    context.lineWidth = 1;
    context.strokeRect(left, top, view.css_width, view.css_height);
    draw_axes(view, context, left, top, true);
  }
  context.font = "12px " + PAPER["--text"];
  context.textBaseline = "middle";
  context.fillStyle = PAPER["--ink"];
  const below = top + view.css_height + view.room.bottom;
  if (view.bar) { draw_bar_on_paper(view, context, left, below); }
  context.textAlign = "left";
  draw_keys(context, size.keys.places, 4, below + size.bar);
  return size;
}

function draw_bar_on_paper(view, context, left, top) {
  const texts = [view.low_text.textContent, view.high_text.textContent];
  const [a, b] = texts.map((text) => context.measureText(text).width + 6);
  context.textAlign = "left";
  context.fillText(texts[0], left, top + 11);
  context.textAlign = "right";
  context.fillText(texts[1], left + view.css_width, top + 11);
  if (view.css_width > a + b + 10) {
    context.drawImage(view.bar, left + a, top + 6, view.css_width - a - b, 10);
  }
}

function save_picture(view) {
  save_canvas(paper_canvas(view), view.data.file || view.data.title || "picture");
}

function paper_canvas(view) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const size = paper_size(view, context);
  const scale = png_scale(size.width, size.height);
  canvas.width = Math.round(size.width * scale);
  canvas.height = Math.round(size.height * scale);
  context.fillStyle = PAPER["--paper"];
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  draw_on_paper(view, context, scale);
  return canvas;
}

/** All pictures of a grid in one PNG. */
function save_grid(views, columns, title, name) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const sizes = views.map((view) => paper_size(view, context));
  const cell_width = Math.max(...sizes.map((size) => size.width)) + 8;
  const tops = [26];  // of the rows, each as high as its highest picture
  for (let first = 0; first < sizes.length; first += columns) {
    const heights = sizes.slice(first, first + columns).map((size) => size.height);
    tops.push(tops[tops.length - 1] + Math.max(...heights) + 6);
  }
  const [width, height] = [cell_width * columns, tops[tops.length - 1]];
  const scale = png_scale(width, height);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  context.fillStyle = PAPER["--paper"];
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.fillStyle = PAPER["--ink"];
  context.font = "bold 14px " + PAPER["--text"];
  context.textBaseline = "middle";
  context.fillText(title, 4, 13, width - 8);
  views.forEach((view, i) => {
    context.save();
    context.translate((i % columns) * cell_width, tops[Math.floor(i / columns)]);
    draw_on_paper(view, context, scale);
    context.restore();
  });
  save_canvas(canvas, name);
}
