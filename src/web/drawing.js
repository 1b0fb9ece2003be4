// What pictures and charts share: elements, number texts, pixel codes, stretches, colours, shapes.
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
