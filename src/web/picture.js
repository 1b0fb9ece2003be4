// Pictures on canvas: decoding, colour maps, zoom, markers, contrast.
"use strict";

const BLANK = 65535;
const BLANK_COLOR = [62, 88, 138];

/** Short text of a number with about four digits. */
function format_value(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) { return "no data"; }
  if (value === 0) { return "0"; }
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) {
    return value.toExponential(Math.max(0, digits - 2)).replace("e+", "e").replace("-", "\u2212");
  }
  return String(Number(value.toPrecision(digits))).replace("-", "\u2212");
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") { node.className = value; } else { node.setAttribute(name, value); }
  }
  node.append(...children);
  return node;
}

/**
 * A table of values and the place of every pixel in it: one entry per code for a large picture, one
 * per pixel for a small one, so that a page of many stamps stays light.
 */
function decode_picture(data) {
  const text = atob(data.codes);
  const codes = new Uint16Array(text.length / 2);
  for (let i = 0; i < codes.length; ++i) {
    codes[i] = text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8);
  }
  const value_of = (code) =>
    (code === BLANK ? NaN : data.centre + data.soft * Math.sinh(data.first + data.step * code));
  if (codes.length <= BLANK) {
    return { codes: codes.map((code, i) => i), values: Float64Array.from(codes, value_of) };
  }
  return { codes, values: Float64Array.from({ length: BLANK + 1 }, (nothing, code) => value_of(code)) };
}

/** Brightness 0..1 of a value. */
function stretched(value, low, high, stretch) {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  if (stretch === "asinh") { return Math.asinh(10 * t) / Math.asinh(10); }
  if (stretch === "log") { return Math.log1p(1000 * t) / Math.log1p(1000); }
  return t;
}

/** Signed stretch: the same compression on both sides of the middle. */
function stretched_diverging(value, low, high, stretch) {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  const side = 2 * t - 1;
  return 0.5 + 0.5 * Math.sign(side) * stretched(Math.abs(side), 0, 1, stretch);
}

// Blue - white - red, of equal lightness on both sides.
const DIVERGING = [[5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240],
  [247, 247, 247], [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31]];

function color_of(t, colors) {
  if (colors !== "diverging") {
    const grey = Math.round(255 * t);
    return [grey, grey, grey];
  }
  const place = t * (DIVERGING.length - 1);
  const i = Math.min(DIVERGING.length - 2, Math.floor(place));
  const f = place - i;
  return DIVERGING[i].map((value, k) => Math.round(value + f * (DIVERGING[i + 1][k] - value)));
}

class PictureView {
  /** @param data picture of the report  @param width_limit widest canvas in CSS pixels */
  constructor(data, width_limit, height_limit, enlarged = false) {
    this.data = data;
    this.enlarged = enlarged;
    Object.assign(this, decode_picture(data));
    this.low = data.low;
    this.high = data.high;
    this.stretch = data.stretch;
    this.hidden = new Set();
    this.css_scale = Math.min(enlarged ? Infinity : data.scale, width_limit / data.width,
      height_limit / data.height);
    this.css_width = Math.max(1, Math.round(data.width * this.css_scale));
    this.css_height = Math.max(1, Math.round(data.height * this.css_scale));
    this.small = !enlarged && this.css_width < 250;
    this.reset_zoom();
    this.build();
    this.paint_pixels();
    this.draw();
  }

  reset_zoom() {
    this.zoom = 1;
    this.left = 0;
    this.top = 0;
  }

  build() {
    this.canvas = element("canvas", { class: "view", tabindex: "0", role: "img",
      "aria-label": this.data.title || "picture" });
    const ratio = window.devicePixelRatio || 1;
    this.ratio = ratio;
    this.canvas.width = Math.round(this.css_width * ratio);
    this.canvas.height = Math.round(this.css_height * ratio);
    this.canvas.style.width = this.css_width + "px";
    this.canvas.style.aspectRatio = this.css_width + " / " + this.css_height;
    this.pixels = document.createElement("canvas");
    this.pixels.width = this.data.width;
    this.pixels.height = this.data.height;
    this.readout = element("div", { class: "readout" });
    this.node = element("figure", { class: this.small ? "picture small" : "picture" });
    const shown = element("div", { class: "shown" }, this.canvas, this.build_scalebar(), this.readout);
    shown.style.width = this.css_width + 2 + "px";
    if (this.data.title) { this.node.append(element("figcaption", {}, this.data.title)); }
    const controls = element("div", { class: "controls" }, this.build_marks());
    if (!this.small) { controls.append(this.build_tools()); }
    this.node.append(shown, controls);
    this.node.style.setProperty("--shown", this.css_width + 2 + "px");
    this.listen();
  }

  build_scalebar() {
    this.low_text = element("span");
    this.high_text = element("span");
    this.bar = element("canvas", { width: "256", height: "1" });
    const box = element("div", { class: "scalebar" }, this.low_text, this.bar, this.high_text);
    return box;
  }

  build_tools() {
    const button = (text, title, action) => {
      const node = element("button", { type: "button", title }, text);
      node.addEventListener("click", action);
      return node;
    };
    const slider = (level) => {
      const node = element("input", { type: "range", min: "0", max: "1000", step: "1",
        "aria-label": level + " level" });
      node.value = this.slider_place(this[level]);
      node.addEventListener("input", () => {
        this[level] = this.slider_value(Number(node.value));
        this.paint_pixels();
        this.draw();
      });
      return node;
    };
    this.sliders = { low: slider("low"), high: slider("high") };
    this.chooser = element("select", { "aria-label": "stretch" },
      ...["linear", "asinh", "log"].map((name) => element("option", { value: name }, name)));
    this.chooser.value = this.stretch;
    this.chooser.addEventListener("change", () => {
      this.stretch = this.chooser.value;
      this.paint_pixels();
      this.draw();
    });
    const tools = element("div", { class: "tools" },
      element("label", {}, "black", this.sliders.low), element("label", {}, "white", this.sliders.high),
      this.chooser,
      button("\u2212", "Zoom out", () => this.zoom_at(this.css_width / 2, this.css_height / 2, 0.5)),
      button("+", "Zoom in", () => this.zoom_at(this.css_width / 2, this.css_height / 2, 2)),
      button("Reset", "Whole picture, initial contrast", () => this.reset()),
      button("PNG", "Save as PNG", () => this.save()));
    if (!this.enlarged) {
      tools.append(button("Enlarge", "Show in a window", () => enlarge_picture(this.data)));
    }
    return tools;
  }

  // The sliders run over 1.5 display ranges below and 4 above, finely near the display range.
  slider_value(place) {
    const span = this.data.high - this.data.low;
    return this.data.low + span * Math.sinh((place - 350) / 170) / 3.6;
  }

  slider_place(value) {
    const span = this.data.high - this.data.low;
    return Math.round(350 + 170 * Math.asinh(3.6 * (value - this.data.low) / span));
  }

  build_marks() {
    const box = element("div", { class: "marks" });
    this.data.markers.forEach((group, index) => {
      const key = element("button", { type: "button", class: "key", "aria-pressed": "true",
        title: "Show or hide" });
      key.append(shape_icon(group.shape, group.color), group.label,
        element("span", { class: "count" }, String(group.x.length)));
      key.addEventListener("click", () => {
        const off = !this.hidden.delete(index);
        if (off) { this.hidden.add(index); }
        key.classList.toggle("off", off);
        key.setAttribute("aria-pressed", String(!off));
        this.draw();
      });
      box.append(key);
    });
    return box;
  }

  reset() {
    this.low = this.data.low;
    this.high = this.data.high;
    this.stretch = this.data.stretch;
    this.chooser.value = this.stretch;
    this.sliders.low.value = this.slider_place(this.low);
    this.sliders.high.value = this.slider_place(this.high);
    this.reset_zoom();
    this.paint_pixels();
    this.draw();
  }

  paint_pixels() {
    const { width, height, colors } = this.data;
    if (!(this.high > this.low)) { this.high = this.low + 1e-6 * (this.data.high - this.data.low); }
    const brightness = colors === "diverging" ? stretched_diverging : stretched;
    const table = new Uint32Array(this.values.length);
    const packed = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
    for (let code = 0; code < table.length; ++code) {
      const value = this.values[code];
      table[code] = packed(Number.isNaN(value) ? BLANK_COLOR
        : color_of(brightness(value, this.low, this.high, this.stretch), colors));
    }
    const context = this.pixels.getContext("2d");
    const image = context.createImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    for (let y = 0; y < height; ++y) {
      const from = y * width;
      const to = (height - 1 - y) * width;
      for (let x = 0; x < width; ++x) { words[to + x] = table[this.codes[from + x]]; }
    }
    context.putImageData(image, 0, 0);
    this.paint_bar(brightness);
  }

  paint_bar(brightness) {
    const context = this.bar.getContext("2d");
    const image = context.createImageData(256, 1);
    for (let i = 0; i < 256; ++i) {
      const value = this.low + (this.high - this.low) * i / 255;
      const rgb = color_of(brightness(value, this.low, this.high, this.stretch), this.data.colors);
      image.data.set([...rgb, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
    this.low_text.textContent = format_value(this.low, 3);
    this.high_text.textContent = format_value(this.high, 3) + (this.data.unit ? " " + this.data.unit : "");
  }

  /** Place of image pixel coordinates on the canvas in CSS pixels. */
  place(x, y) {
    const s = this.css_scale * this.zoom;
    return [(x + 0.5) * s - this.left, (this.data.height - 0.5 - y) * s - this.top];
  }

  /** Image pixel coordinates under a place on the canvas. */
  pixel_at(px, py) {
    const s = this.css_scale * this.zoom;
    return [(px + this.left) / s - 0.5, this.data.height - 0.5 - (py + this.top) / s];
  }

  draw() {
    const context = this.canvas.getContext("2d");
    const s = this.css_scale * this.zoom;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.css_width, this.css_height);
    context.imageSmoothingEnabled = s * this.ratio < 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.pixels, -this.left, -this.top, this.data.width * s, this.data.height * s);
    this.data.markers.forEach((group, index) => {
      if (!this.hidden.has(index)) { this.draw_markers(context, group, s); }
    });
  }

  draw_markers(context, group, s) {
    context.strokeStyle = group.color;
    context.lineWidth = 1.3;
    context.beginPath();
    const r = Math.max(2.5, group.radius * s);
    for (let i = 0; i < group.x.length; ++i) {
      const [x, y] = this.place(group.x[i], group.y[i]);
      if (group.shape === "line") {
        const [x2, y2] = this.place(group.x2[i], group.y2[i]);
        context.moveTo(x, y);
        context.lineTo(x2, y2);
      } else if (x > -r && y > -r && x < this.css_width + r && y < this.css_height + r) {
        trace_shape(context, group.shape, x, y, r);
      }
    }
    context.stroke();
  }

  listen() {
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left - 1) * this.css_width / (box.width - 2),
        (event.clientY - box.top - 1) * this.css_height / (box.height - 2)];
    };
    if (this.small) {
      this.canvas.addEventListener("click", () => enlarge_picture(this.data));
      this.canvas.addEventListener("keydown", (event) => {
        if (event.key === "Enter") { enlarge_picture(this.data); }
      });
      this.canvas.addEventListener("pointermove", (event) => { this.canvas.title = this.describe(...at(event)); });
      return;
    }
    let drag = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      drag = at(event);
      this.canvas.setPointerCapture(event.pointerId);
      this.canvas.classList.add("active");
    });
    this.canvas.addEventListener("pointerup", () => { drag = null; });
    this.canvas.addEventListener("blur", () => this.canvas.classList.remove("active"));
    this.canvas.addEventListener("pointermove", (event) => {
      const here = at(event);
      if (drag) {
        this.left -= here[0] - drag[0];
        this.top -= here[1] - drag[1];
        drag = here;
        this.keep_inside();
        this.draw();
      }
      this.readout.textContent = this.describe(...here);
    });
    this.canvas.addEventListener("pointerleave", () => { this.readout.textContent = ""; });
    this.canvas.addEventListener("dblclick", () => { this.reset_zoom(); this.draw(); });
    // Only a picture that was clicked takes the wheel, so that the page scrolls past the others.
    this.canvas.addEventListener("wheel", (event) => {
      if (this.enlarged || event.ctrlKey || this.canvas.classList.contains("active")) {
        event.preventDefault();
        this.zoom_at(...at(event), Math.exp(-event.deltaY / 400));
      }
    }, { passive: false });
  }

  zoom_at(px, py, factor) {
    const [x, y] = [(px + this.left) / this.zoom, (py + this.top) / this.zoom];
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), Math.max(8, 40 / this.css_scale));
    this.left = x * this.zoom - px;
    this.top = y * this.zoom - py;
    this.keep_inside();
    this.draw();
  }

  keep_inside() {
    this.left = Math.min(Math.max(this.left, 0), this.css_width * (this.zoom - 1));
    this.top = Math.min(Math.max(this.top, 0), this.css_height * (this.zoom - 1));
  }

  describe(px, py) {
    const [x, y] = this.pixel_at(px, py);
    const [i, j] = [Math.round(x), Math.round(y)];
    const { width, height, x0, y0, pixel_size, unit } = this.data;
    if (i < 0 || j < 0 || i >= width || j >= height) { return ""; }
    const digits = pixel_size === 1 && this.css_scale * this.zoom < 3 ? 0 : 1;
    const value = this.values[this.codes[j * width + i]];
    let text = "x " + (x0 + x * pixel_size).toFixed(digits) + "  y " + (y0 + y * pixel_size).toFixed(digits) +
      "  " + format_value(value) + (unit && Number.isFinite(value) ? " " + unit : "");
    const name = this.nearest_name(px, py);
    if (name) { text += "  \u00b7  " + name; }
    return text;
  }

  nearest_name(px, py) {
    let best = 14 * 14;
    let found = "";
    this.data.markers.forEach((group, index) => {
      if (this.hidden.has(index)) { return; }
      for (let i = 0; i < group.x.length; ++i) {
        const [x, y] = this.place(group.x[i], group.y[i]);
        const distance = (x - px) ** 2 + (y - py) ** 2;
        if (distance < best) {
          best = distance;
          found = group.names ? group.label + " " + group.names[i] : group.label;
        }
      }
    });
    return found;
  }

  save() {
    const link = element("a", { download: (this.data.title || "picture").replace(/[^\w.-]+/g, "_") + ".png",
      href: this.canvas.toDataURL("image/png") });
    link.click();
  }
}

function trace_shape(context, shape, x, y, r) {
  if (shape === "square") {
    context.rect(x - r, y - r, 2 * r, 2 * r);
  } else if (shape === "cross") {
    const d = r * Math.SQRT1_2;
    context.moveTo(x - d, y - d);
    context.lineTo(x + d, y + d);
    context.moveTo(x - d, y + d);
    context.lineTo(x + d, y - d);
  } else if (shape === "plus") {
    context.moveTo(x - r, y);
    context.lineTo(x + r, y);
    context.moveTo(x, y - r);
    context.lineTo(x, y + r);
  } else {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
  }
}

/** Small drawing of a marker or of a chart's series for its key. */
function shape_icon(shape, color) {
  const paths = {
    circle: "M12 7a5 5 0 1 0-10 0a5 5 0 1 0 10 0", square: "M2 2h10v10h-10z",
    cross: "M2 2L12 12M2 12L12 2", plus: "M7 1V13M1 7H13", line: "M0 7H14",
    steps: "M0 12V5h5V2h5v6h4v4", points: "M10 7a3 3 0 1 0-6 0a3 3 0 1 0 6 0",
  };
  const name_space = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(name_space, "svg");
  icon.setAttribute("width", "14");
  icon.setAttribute("height", "14");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(name_space, "path");
  path.setAttribute("d", paths[shape] || paths.circle);
  path.setAttribute("fill", shape === "points" ? color : "none");
  path.setAttribute("stroke", color);
  path.setAttribute("stroke-width", "1.6");
  icon.append(path);
  return icon;
}

function enlarge_picture(data) {
  const dialog = element("dialog", { class: "enlarged" });
  const close = element("button", { type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.append(close);
  document.body.append(dialog);
  dialog.showModal();
  const view = new PictureView(data, Math.min(1100, window.innerWidth * 0.92 - 330), window.innerHeight * 0.78, true);
  view.node.classList.add("beside");
  dialog.append(view.node);
}
