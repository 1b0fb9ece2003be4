// What pictures and charts share: elements, number texts, pixel codes, stretches, colours, shapes.
"use strict";

/** The report; pictures share pixels through it. */
let page_data = null;

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
  const text = atob(page_data.pixels[data.codes]);
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
  } else if (shape === "diamond") {
    context.moveTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.lineTo(x, y - r);
    context.closePath();
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

/** Steps of 1, 2 or 5 times a power of ten, about `count` of them in the range. */
function nice_step(range, count) {
  const raw = Math.abs(range) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const lead = raw / power;
  return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
}

/** A value with as many decimals as its step needs. */
function stepped_label(value, step) {
  let digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  while (digits < 8 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) { ++digits; }
  const rounded = Math.abs(value) < 1e-9 * step ? 0 : value;
  return rounded.toFixed(Math.min(8, digits)).replace("-", "\u2212");
}

/** Sky coordinates at a picture pixel by linear interpolation in the picture's mesh. */
function sky_at(sky, x, y) {
  const u = (x - sky.x_first) / sky.x_step;
  const v = (y - sky.y_first) / sky.y_step;
  const i = Math.min(sky.columns - 2, Math.max(0, Math.floor(u)));
  const j = Math.min(sky.rows - 2, Math.max(0, Math.floor(v)));
  const [f, g] = [u - i, v - j];
  const at = (values) => {
    const k = j * sky.columns + i;
    const corner = [values[k], values[k + 1], values[k + sky.columns], values[k + sky.columns + 1]];
    if (corner.includes(null)) { return NaN; }
    return (1 - g) * ((1 - f) * corner[0] + f * corner[1]) + g * ((1 - f) * corner[2] + f * corner[3]);
  };
  return [at(sky.ra), at(sky.dec)];
}

/** Small drawing of a marker or of a chart's series for its key. */
function shape_icon(shape, color, dashed = false) {
  const paths = {
    circle: "M12 7a5 5 0 1 0-10 0a5 5 0 1 0 10 0", square: "M2 2h10v10h-10z",
    diamond: "M7 1L13 7L7 13L1 7Z", box: "M2 2h10v10h-10z", band: "M0 3H14V11H0Z",
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
  path.setAttribute("fill", shape === "points" ? color : shape === "band" ? color + "44" : "none");
  if (dashed) { path.setAttribute("stroke-dasharray", "3 2"); }
  path.setAttribute("stroke", color);
  path.setAttribute("stroke-width", "1.6");
  icon.append(path);
  return icon;
}
