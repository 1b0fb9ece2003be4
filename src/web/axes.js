// Axes around a picture: survey pixels, or quantities, left and below, the sky right and above.

/** Names of the two axes below and left, and values of a picture pixel along them. */
function quantities_of(data) {
  if (data.graph) {
    return data.graph.map(({ label, first, step }) => ({ label, value: (pixel) => first + step * pixel }));
  }
  const { x0, y0, pixel_size } = data;
  return [{ label: "x [pix]", value: (pixel) => x0 + pixel_size * pixel },
    { label: "y [pix]", value: (pixel) => y0 + pixel_size * pixel }];
}

/** Places along an edge where a coordinate takes round values. @param value of a place 0..length */
function ticks_of(value, length, spacing) {
  const parts = 64;
  const samples = Array.from({ length: parts + 1 }, (nothing, i) => value(length * i / parts));
  if (samples.some((v) => !Number.isFinite(v))) { return { step: 1, ticks: [] }; }
  const step = nice_step(Math.max(...samples) - Math.min(...samples), Math.max(2, length / spacing));
  const ticks = [];
  for (let i = 0; i < parts; ++i) {
    const [a, b] = [samples[i], samples[i + 1]];
    const [low, high] = [Math.min(a, b), Math.max(a, b)];
    for (let k = Math.ceil(low / step); k * step < high || (i + 1 === parts && k * step === high); ++k) {
      ticks.push({ at: length * (i + (k * step - a) / (b - a)) / parts, value: k * step });
    }
  }
  return { step, ticks };
}

/** Axes around the picture whose corner is at (left, top) of the context. */
function draw_axes(view, context, left, top, on_paper) {
  const sky = view.data.sky;
  const [along, up] = quantities_of(view.data);
  const [w, h] = [view.css_width, view.css_height];
  const ink = theme_color("--ink", on_paper);
  context.fillStyle = ink;
  context.strokeStyle = ink;
  context.lineWidth = 1;
  context.font = "11.5px " + theme_color("--text", on_paper);
  const edges = [
    { side: "bottom", name: along.label, value: (p) => along.value(view.pixel_at(p, h)[0]) },
    { side: "left", name: up.label, value: (p) => up.value(view.pixel_at(0, p)[1]) },
  ];
  if (sky) { edges.push(sky_edge(view, "top", sky), sky_edge(view, "right", sky)); }
  for (const edge of edges) {
    const across = edge.side === "bottom" || edge.side === "top";
    const { step, ticks } = ticks_of(edge.value, across ? w : h, across ? 90 : 60);
    draw_edge(view, context, edge, ticks, step, left, top);
  }
}

/** The sky coordinate that changes most along an edge. */
function sky_edge(view, side, sky) {
  const [w, h] = [view.css_width, view.css_height];
  const at = (p) => sky_at(sky, ...(side === "top" ? view.pixel_at(p, 0) : view.pixel_at(w, p)));
  const [a, b] = [at(0), at(side === "top" ? w : h)];
  const is_ra = Math.abs(b[0] - a[0]) * Math.cos(a[1] * Math.PI / 180) > Math.abs(b[1] - a[1]);
  return { side, name: is_ra ? "RA [deg]" : "Dec [deg]", value: (p) => at(p)[is_ra ? 0 : 1], is_ra };
}

function draw_edge(view, context, edge, ticks, step, left, top) {
  const [w, h] = [view.css_width, view.css_height];
  const label = (v) => stepped_label(edge.is_ra ? ((v % 360) + 360) % 360 : v, step);
  context.beginPath();
  for (const { at, value } of ticks) {
    if (edge.side === "bottom" || edge.side === "top") {
      const [y, out] = edge.side === "bottom" ? [top + h, 5] : [top, -5];
      context.moveTo(left + at, y);
      context.lineTo(left + at, y + out);
      context.textAlign = "center";
      context.textBaseline = edge.side === "bottom" ? "top" : "bottom";
      context.fillText(label(value), left + at, y + 1.6 * out);
    } else {
      const [x, out] = edge.side === "left" ? [left, -5] : [left + w, 5];
      context.moveTo(x, top + at);
      context.lineTo(x + out, top + at);
      context.textAlign = edge.side === "left" ? "right" : "left";
      context.textBaseline = "middle";
      context.fillText(label(value), x + 1.6 * out, top + at);
    }
  }
  context.stroke();
  context.save();
  context.textAlign = "center";
  context.textBaseline = "middle";
  if (edge.side === "bottom" || edge.side === "top") {
    context.fillText(edge.name, left + w / 2, edge.side === "bottom" ? top + h + 29 : top - 29);
  } else {
    context.translate(edge.side === "left" ? left - 53 : left + w + 62, top + h / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(edge.name, 0, 0);
  }
  context.restore();
}
