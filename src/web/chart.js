// Charts by uPlot. Every series keeps its own x: all points are sorted into one common x array and
// the values of the other series are left undefined there, which uPlot does not draw as gaps.

const PALETTE = ["#1f77b4", "#d95f02", "#2a9d5c", "#8e5ea2", "#c0392b", "#7f6a4f", "#d16ba5", "#5f6b7a"];

function merged(series) {
  const order = [];
  series.forEach((one, s) => one.x.forEach((x, i) => { if (x !== null) { order.push([x, s, i]); } }));
  order.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  const columns = [order.map((entry) => entry[0])];
  const errors = [null];
  series.forEach((one, s) => {
    const y = new Array(order.length).fill(undefined);
    const error = one.error ? new Array(order.length).fill(null) : null;
    order.forEach(([, owner, i], row) => {
      if (owner === s) {
        y[row] = one.y[i];
        if (error) { error[row] = one.error[i]; }
      }
    });
    columns.push(y);
    errors.push(error);
  });
  return { columns, errors };
}

/** A logarithmic axis shows positive values only; steps rest on the bottom instead. */
function without_nonpositive(chart) {
  for (const one of chart.series) {
    if (chart.log_x) { one.x = one.x.map((x) => (x !== null && x > 0 ? x : null)); }
    if (chart.log_y) {
      const least = Math.min(...one.y.filter((y) => y !== null && y > 0));
      const floor = one.kind === "steps" && Number.isFinite(least) ? least / 2 : null;
      one.y = one.y.map((y) => (y === null || y > 0 ? y : floor));
    }
  }
}

/** Range of an axis with a margin, never empty. */
function padded(low, high, log, margin) {
  if (low === null || high === null || low === undefined || !Number.isFinite(low)) { return log ? [1, 10] : [0, 1]; }
  if (log) {
    const [a, b] = [Math.log10(low), Math.log10(high)];
    const pad = b > a ? margin * (b - a) : 0.5;
    return [10 ** (a - pad), 10 ** (b + pad)];
  }
  const pad = high > low ? margin * (high - low) : (Math.abs(low) || 1) * 0.1;
  return [low - pad, high + pad];
}

function extent_of(chart) {
  let [x_low, x_high, y_low, y_high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const one of chart.series) {
    for (let i = 0; i < one.x.length; ++i) {
      const [x, y] = [one.x[i], one.y[i]];
      if (x === null || y === null) { continue; }
      const e = one.error ? one.error[i] || 0 : 0;
      x_low = Math.min(x_low, x);
      x_high = Math.max(x_high, x);
      if (!chart.log_y || y - e > 0) { y_low = Math.min(y_low, y - e); } else { y_low = Math.min(y_low, y); }
      y_high = Math.max(y_high, y + e);
    }
    if (one.kind === "steps" && !chart.log_y) { y_low = Math.min(y_low, 0); }
  }
  return { x_low, x_high, y_low, y_high };
}

function log_label(value) {
  const exponent = Math.log10(value);
  if (value === null) { return ""; }
  if (Math.abs(exponent) < 4) { return format_value(value); }
  const digits = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
  const whole = Math.floor(exponent + 1e-9);
  const power = "10" + (whole < 0 ? "\u207b" : "") + [...String(Math.abs(whole))].map((d) => digits[d]).join("");
  const lead = Math.round(value / 10 ** whole);
  return lead === 1 ? power : lead + "\u00d7" + power;
}

/** @param k size of everything drawn, relative to the page  @param on_paper colours of a saved chart */
function axis_of(label, log, side, k, on_paper) {
  const color = (name) => () => theme_color(name, on_paper);
  const text = theme_color("--text", on_paper);
  const axis = {
    label, side, stroke: color("--ink"), labelFont: 13 * k + "px " + text,
    font: 12 * k + "px " + text, labelSize: 22 * k, labelGap: 2 * k, gap: 5 * k,
    size: (side === 3 ? 56 : 32) * k, grid: { stroke: color("--grid"), width: k },
    ticks: { stroke: color("--rule"), width: k, size: 5 * k },
    border: { show: true, stroke: color("--rule"), width: k },
  };
  if (log) {
    // Over many decades only the decades have lines.
    const decades = (plot, splits) => {
      const many = Math.log10(splits[splits.length - 1] / splits[0]) > 4;
      return splits.map((v) => (many && Math.abs(Math.log10(v) - Math.round(Math.log10(v))) > 1e-6 ? null : v));
    };
    axis.grid.filter = decades;
    axis.ticks.filter = decades;
    axis.values = (plot, splits) => splits.map((v) => (v === null ? "" : log_label(v)));
  } else {
    axis.space = (side === 3 ? 38 : 64) * k;
    axis.values = (plot, splits, index, space, step) => splits.map((v) => linear_label(v, step));
  }
  return axis;
}

function linear_label(value, step) {
  if (Math.abs(value) >= 1e6 || step < 1e-5) { return format_value(Math.abs(value) < 1e-9 * step ? 0 : value, 5); }
  return stepped_label(value, step);
}

class ChartView {
  constructor(chart) {
    this.chart = chart;
    chart.series.forEach((one, i) => { one.color = one.color || PALETTE[i % PALETTE.length]; });
    without_nonpositive(chart);
    Object.assign(this, merged(chart.series), { extent: extent_of(chart) });
    this.plot_box = element("div", { class: "plot" });
    this.tip = element("div", { class: "tip", hidden: "" });
    this.node = element("figure", { class: "chart" });
    const save = element("button", { type: "button", class: "save", title: "Save as PNG" }, "PNG");
    save.addEventListener("click", () => this.save());
    this.node.append(element("figcaption", {}, chart.title, save), this.build_keys(), this.plot_box);
  }

  build_keys() {
    const box = element("div", { class: "keys" });
    this.chart.series.forEach((one, i) => {
      if (!one.label) { return; }
      const key = element("button", { type: "button", class: "key", title: "Show or hide" });
      key.append(shape_icon(this.icon_of(one), one.color, one.dashed), one.label);
      key.addEventListener("click", () => {
        const shown = !this.plot.series[i + 1].show;
        this.plot.setSeries(i + 1, { show: shown });
        key.classList.toggle("off", !shown);
      });
      box.append(key);
    });
    return box;
  }

  icon_of(one) { return one.kind === "points" && one.symbol !== "circle" ? one.symbol : one.kind; }

  /** Draws into the page; the node must be attached, since its width counts. */
  mount() {
    const width = Math.max(280, Math.floor(this.node.clientWidth));
    this.plot = new uPlot(this.options(width), this.columns, this.plot_box);
    this.plot.over.append(this.tip);
    new ResizeObserver(() => this.fit_page()).observe(this.node);
  }

  fit_page() {
    const width = Math.max(280, Math.floor(this.node.clientWidth));
    if (width !== this.plot.width) { this.plot.setSize(this.size_of(width)); }
  }

  /** Layout for paper comes after the last script could see it, so its width is assumed. */
  fit_paper() {
    this.plot.setSize(this.size_of(this.node.classList.contains("alone") ? 620 : 320));
  }

  size_of(width) {
    return { width, height: Math.round(Math.min(400, Math.max(260, width * 0.56))) };
  }

  /** @param k size of everything relative to the page; other than 1 for a chart that is saved */
  options(width, k = 1, on_paper = false) {
    const { chart, extent } = this;
    const steps_only = !chart.log_y && extent.y_low === 0;
    const whole = {
      x: padded(extent.x_low, extent.x_high, chart.log_x, 0.03),
      y: padded(extent.y_low, extent.y_high, chart.log_y, 0.06),
    };
    if (steps_only) { whole.y[0] = 0; }
    const range = (name) => () => (this.zoomed ? this.zoomed[name] : whole[name]);
    return {
      ...this.size_of(width), padding: [8 * k, 12 * k, 0, 0], legend: { show: false },
      scales: {
        x: { time: false, distr: chart.log_x ? 3 : 1, range: range("x") },
        y: { distr: chart.log_y ? 3 : 1, range: range("y") },
      },
      axes: [axis_of(chart.x_label, chart.log_x, 2, k, on_paper), axis_of(chart.y_label, chart.log_y, 3, k, on_paper)],
      series: [{}, ...chart.series.map((one) => this.series_options(one, k))],
      cursor: { drag: { x: true, y: true, uni: 20 }, points: { show: false }, y: true, x: true },
      hooks: {
        setSelect: [(plot) => this.zoom_to_selection(plot)],
        setCursor: [(plot) => this.show_nearest(plot)],
        drawSeries: [(plot, index) => this.draw_extras(plot, index, k)],
        ready: [(plot) => plot.over.addEventListener("dblclick", () => { this.zoomed = null; }, true)],
      },
    };
  }

  zoom_to_selection(plot) {
    const { left, top, width, height } = plot.select;
    if (width > 0 && height > 0) {
      this.zoomed = {
        x: [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")],
        y: [plot.posToVal(top + height, "y"), plot.posToVal(top, "y")],
      };
    }
  }

  series_options(one, k) {
    const dense = one.x.length > 3000;
    const base = { label: one.label, stroke: one.color, width: 1.6 * k, spanGaps: false, pxAlign: 0,
      points: { show: false } };
    if (one.kind === "line") { return { ...base, dash: one.dashed ? [7 * k, 5 * k] : undefined }; }
    if (one.kind === "steps") {
      return { ...base, paths: uPlot.paths.stepped({ align: 1 }), fill: one.color + "22" };
    }
    if (one.kind === "band" || one.symbol !== "circle") { return { ...base, paths: () => null }; }
    const size = (dense ? 3 : one.x.length > 400 ? 4 : 6) * k;
    return { ...base, paths: () => null,
      points: { show: true, size, width: 0, fill: dense ? one.color + "99" : one.color, stroke: one.color } };
  }

  /** What uPlot does not draw itself: error bars, bands, crosses and diamonds. */
  draw_extras(plot, index, k) {
    const one = this.chart.series[index - 1];
    if (!one || !plot.series[index].show) { return; }
    const context = plot.ctx;
    context.save();
    context.beginPath();
    context.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    context.clip();
    context.strokeStyle = one.color;
    context.fillStyle = one.color + "2e";
    context.lineWidth = uPlot.pxRatio * k;
    if (one.kind === "band") {
      this.fill_band(plot, index);
    } else {
      this.draw_errors(plot, index);
      if (one.kind === "points" && one.symbol !== "circle") { this.draw_symbols(plot, index, k); }
    }
    context.restore();
  }

  /** Rows of the common x array that belong to a series. */
  rows_of(index) {
    const ys = this.columns[index];
    return ys.map((y, i) => i).filter((i) => ys[i] !== undefined && ys[i] !== null);
  }

  fill_band(plot, index) {
    const [xs, ys, error] = [this.columns[0], this.columns[index], this.errors[index]];
    const rows = this.rows_of(index);
    const point = (i, sign) => [plot.valToPos(xs[i], "x", true), plot.valToPos(ys[i] + sign * error[i], "y", true)];
    plot.ctx.beginPath();
    rows.forEach((i) => plot.ctx.lineTo(...point(i, 1)));
    rows.reverse().forEach((i) => plot.ctx.lineTo(...point(i, -1)));
    plot.ctx.fill();
  }

  draw_symbols(plot, index, k) {
    plot.ctx.lineWidth = 1.5 * uPlot.pxRatio * k;
    plot.ctx.beginPath();
    for (const i of this.rows_of(index)) {
      trace_shape(plot.ctx, this.chart.series[index - 1].symbol, plot.valToPos(this.columns[0][i], "x", true),
        plot.valToPos(this.columns[index][i], "y", true), 4.5 * uPlot.pxRatio * k);
    }
    plot.ctx.stroke();
  }

  draw_errors(plot, index) {
    const error = this.errors[index];
    if (!error) { return; }
    const [xs, ys] = [this.columns[0], this.columns[index]];
    const context = plot.ctx;
    context.globalAlpha = 0.65;
    context.beginPath();
    const bottom = plot.scales.y.min;
    for (const i of this.rows_of(index)) {
      if (!(error[i] > 0)) { continue; }
      const x = plot.valToPos(xs[i], "x", true);
      const below = this.chart.log_y ? Math.max(ys[i] - error[i], bottom) : ys[i] - error[i];
      context.moveTo(x, plot.valToPos(below, "y", true));
      context.lineTo(x, plot.valToPos(ys[i] + error[i], "y", true));
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  /** Draws the chart once more, larger, and saves it with its title and legend. */
  save() {
    const shown = this.plot.series.slice(1).map((series) => series.show);
    const { width, height } = this.size_of(Math.max(480, this.plot.width));
    const k = png_scale(width, height + 60) / uPlot.pxRatio;
    const box = element("div", { class: "offscreen" });
    document.body.append(box);
    const options = this.options(width, k, true);
    options.width = Math.round(width * k);
    options.height = Math.round(height * k);
    options.cursor = { show: false };
    options.series.slice(1).forEach((series, i) => { series.show = shown[i]; });
    options.hooks = { drawSeries: options.hooks.drawSeries, draw: [(plot) => {
      save_canvas(this.on_paper(plot.ctx.canvas, width, height, shown), this.chart.file || this.chart.title || "chart");
      setTimeout(() => { plot.destroy(); box.remove(); });
    }] };
    new uPlot(options, this.columns, box);
  }

  on_paper(drawn, width, height, shown) {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    context.font = "12.5px " + PAPER["--text"];
    const entries = this.chart.series.filter((one, i) => shown[i] && one.label).map((one) => {
      const shape = this.icon_of(one);
      return { shape: shape === "points" ? "circle" : shape, color: one.color, dashed: one.dashed,
        text: one.label, filled: shape === "points" };
    });
    const keys = layout_keys(context, entries, width - 16);
    const scale = drawn.width / width;
    const top = 26 + keys.height;
    canvas.width = drawn.width;
    canvas.height = Math.round(drawn.height + top * scale);
    context.fillStyle = PAPER["--paper"];
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(drawn, 0, Math.round(top * scale));
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = PAPER["--ink"];
    context.textBaseline = "middle";
    context.font = "bold 14px " + PAPER["--text"];
    context.fillText(this.chart.title, 8, 13, width - 16);
    context.font = "12.5px " + PAPER["--text"];
    draw_keys(context, keys.places, 8, 24);
    return canvas;
  }

  show_nearest(plot) {
    const { left, top } = plot.cursor;
    this.tip.hidden = true;
    if (left === undefined || left < 0) { return; }
    let best = 18 * 18;
    let found = null;
    for (let s = 1; s < this.columns.length; ++s) {
      if (!plot.series[s].show) { continue; }
      for (let i = 0; i < this.columns[0].length; ++i) {
        const y = this.columns[s][i];
        if (y === undefined || y === null) { continue; }
        const [px, py] = [plot.valToPos(this.columns[0][i], "x"), plot.valToPos(y, "y")];
        const distance = (px - left) ** 2 + (py - top) ** 2;
        if (distance < best) {
          best = distance;
          found = { s, i, px, py };
        }
      }
    }
    if (found) { this.place_tip(plot, found); }
  }

  place_tip(plot, { s, i, px, py }) {
    const error = this.errors[s] ? this.errors[s][i] : null;
    this.tip.replaceChildren(element("b", {}, this.chart.series[s - 1].label || ""),
      " (" + format_value(this.columns[0][i], 6) + ", " + format_value(this.columns[s][i], 5) +
      (error === null ? "" : " \u00b1 " + format_value(error, 3)) + ")");
    this.tip.hidden = false;
    const flip = px > plot.over.clientWidth / 2;
    this.tip.style.left = (flip ? px - this.tip.offsetWidth - 10 : px + 10) + "px";
    this.tip.style.top = Math.max(0, py - 32) + "px";
  }
}
