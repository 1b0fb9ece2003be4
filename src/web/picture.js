// Pictures on canvas: zoom, markers, contrast, the readout under the mouse.

// Room around a picture with axes, in CSS pixels.
const AXES_ROOM = { left: 62, right: 70, top: 36, bottom: 36 };
const NO_ROOM = { left: 0, right: 0, top: 0, bottom: 0 };

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
    this.room = data.axes ? AXES_ROOM : NO_ROOM;
    this.css_scale = Math.min(enlarged ? Infinity : data.scale,
      (width_limit - this.room.left - this.room.right) / data.width, height_limit / data.height);
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
    // The border of one pixel comes on top, so that picture pixels stay whole.
    this.canvas.style.width = this.css_width + 2 + "px";
    this.canvas.style.aspectRatio = (this.css_width + 2) + " / " + (this.css_height + 2);
    this.pixels = document.createElement("canvas");
    this.pixels.width = this.data.width;
    this.pixels.height = this.data.height;
    this.readout = element("div", { class: "readout" });
    this.node = element("figure", { class: this.small ? "picture small" : "picture" });
    const shown = element("div", { class: "shown" }, this.build_frame());
    if (this.data.color_bar) { shown.append(this.build_scalebar()); }
    shown.append(this.readout);
    const whole = this.css_width + 2 + this.room.left + this.room.right;
    shown.style.width = whole + "px";
    if (this.data.title) { this.node.append(element("figcaption", {}, this.data.title)); }
    const controls = element("div", { class: "controls" }, this.build_marks());
    if (!this.small) { controls.append(this.build_tools()); }
    this.node.append(shown, controls);
    this.node.style.setProperty("--shown", whole + "px");
    this.listen();
  }

  /** The canvas, with axes around it where there are any. */
  build_frame() {
    if (!this.data.axes) { return this.canvas; }
    const { left, right, top, bottom } = this.room;
    const [width, height] = [this.css_width + 2 + left + right, this.css_height + 2 + top + bottom];
    this.axes = element("canvas", { class: "axes", "aria-hidden": "true" });
    this.axes.width = Math.round(width * this.ratio);
    this.axes.height = Math.round(height * this.ratio);
    this.axes.style.width = width + "px";
    this.axes.style.height = height + "px";
    const frame = element("div", { class: "framed" }, this.axes, this.canvas);
    frame.style.width = width + "px";
    frame.style.height = height + "px";
    this.canvas.style.left = left + "px";
    this.canvas.style.top = top + "px";
    return frame;
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
      button("PNG", "Save as PNG", () => save_picture(this)));
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
      if (!group.label) { return; }
      const key = element("button", { type: "button", class: "key", "aria-pressed": "true",
        title: "Show or hide" });
      key.append(shape_icon(group.shape, group.color, group.dashed), group.label);
      if (group.count !== undefined) { key.append(element("span", { class: "count" }, String(group.count))); }
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
    if (this.bar) { this.paint_bar(brightness); }
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
    this.high_text.textContent = format_value(this.high, 3) + (this.data.unit && !this.small ? " " + this.data.unit : "");
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
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.css_width, this.css_height);
    this.draw_view(context, this.ratio);
    if (this.axes) {
      const axes = this.axes.getContext("2d");
      axes.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      axes.clearRect(0, 0, this.axes.width, this.axes.height);
      draw_axes(this, axes, this.room.left + 1, this.room.top + 1, false);
    }
  }

  /** Pixels and marks of what is in view. @param scale device pixels per CSS pixel */
  draw_view(context, scale) {
    const s = this.css_scale * this.zoom;
    context.imageSmoothingEnabled = s * scale < 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.pixels, -this.left, -this.top, this.data.width * s, this.data.height * s);
    this.data.markers.forEach((group, index) => {
      if (!this.hidden.has(index)) { this.draw_markers(context, group, s); }
    });
  }

  draw_markers(context, group, s) {
    context.strokeStyle = group.color;
    context.lineWidth = 1.3;
    context.setLineDash(group.dashed ? [6, 4] : []);
    context.beginPath();
    const r = Math.max(2.5, group.radius * s);
    for (let i = 0; i < group.x.length; ++i) {
      const [x, y] = this.place(group.x[i], group.y[i]);
      if (group.shape === "line" || group.shape === "box") {
        const [x2, y2] = this.place(group.x2[i], group.y2[i]);
        if (group.shape === "box") {
          context.rect(Math.min(x, x2), Math.min(y, y2), Math.abs(x2 - x), Math.abs(y2 - y));
        } else {
          context.moveTo(x, y);
          context.lineTo(x2, y2);
        }
      } else if (x > -r && y > -r && x < this.css_width + r && y < this.css_height + r) {
        trace_shape(context, group.shape, x, y, r);
      }
    }
    context.stroke();
    context.setLineDash([]);
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
    const { width, height, x0, y0, pixel_size, unit, graph } = this.data;
    if (i < 0 || j < 0 || i >= width || j >= height) { return ""; }
    const digits = pixel_size === 1 && this.css_scale * this.zoom < 3 ? 0 : 1;
    const value = this.values[this.codes[j * width + i]];
    const place = graph
      ? quantities_of(this.data).map((axis, k) => axis.label + " " + axis.value([i, j][k]).toPrecision(3)).join("  ")
      : "x " + (x0 + x * pixel_size).toFixed(digits) + "  y " + (y0 + y * pixel_size).toFixed(digits);
    let text = place + "  " + format_value(value) + (unit && Number.isFinite(value) ? " " + unit : "");
    if (this.data.sky) {
      const [ra, dec] = sky_at(this.data.sky, x, y);
      text += "  RA " + (((ra % 360) + 360) % 360).toFixed(5) + "  Dec " + dec.toFixed(5);
    }
    const name = this.nearest_name(px, py);
    if (name) { text += "  \u00b7  " + name; }
    return text;
  }

  nearest_name(px, py) {
    let best = 14 * 14;
    let found = "";
    this.data.markers.forEach((group, index) => {
      if (this.hidden.has(index)) { return; }
      for (let i = 0; group.shape !== "box" && i < group.x.length; ++i) {
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
