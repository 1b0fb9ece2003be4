// Uses the controls of the sample report as a reader would; what it finds goes into the body's data.
window.addEventListener("load", () => setTimeout(() => {
  const results = {};
  const column = (c) => [...document.querySelectorAll("tbody tr")].map((row) => row.children[c].textContent);
  const heads = document.querySelectorAll("th");
  heads[4].click();
  results.ascending = column(4).join() === "88,396,1034,";
  heads[4].click();
  results.descending = column(4).filter((text) => text !== "").join() === "1034,396,88";

  const canvas = document.querySelector("canvas.view");
  const picture = () => canvas.toDataURL();
  const changes = (action) => {
    const before = picture();
    action();
    return picture() !== before;
  };
  const figure = canvas.closest("figure");
  const keys = figure.querySelectorAll(".marks .key");
  results.counts = [...keys].map((key) => key.querySelector(".count")?.textContent).join() === "207,13,6,";
  results.toggle = changes(() => keys[0].click()) && keys[0].classList.contains("off");
  const slider = figure.querySelector("input[type=range]");
  results.contrast = changes(() => { slider.value = 500; slider.dispatchEvent(new Event("input")); });
  const button = (title) => figure.querySelector(`button[title^="${title}"]`);
  results.zoom = changes(() => button("Zoom in").click());
  results.reset = changes(() => button("Whole picture").click());
  const box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new PointerEvent("pointermove",
    { clientX: box.left + 1 + 0.5, clientY: box.bottom - 1 - 0.5, bubbles: true }));
  results.corner = figure.querySelector(".readout").textContent.startsWith("x 32  y 32");
  // East is left; right ascensions stay below 360.
  const sky = / RA ([\d.]+)  Dec ([\d.]+)/.exec(figure.querySelector(".readout").textContent);
  results.sky = Math.abs(sky[1] - 0.02) < 1e-4 && Math.abs(sky[2] - 1.0) < 1e-4;
  canvas.dispatchEvent(new PointerEvent("pointermove",
    { clientX: box.right - 1 - 0.5, clientY: box.top + 1 + 0.5, bubbles: true }));
  results.wrapped = figure.querySelector(".readout").textContent.includes("RA 359.98");
  const axes = figure.querySelector("canvas.axes");
  results.axes = axes.getContext("2d").getImageData(0, 0, axes.width, 30).data.some((byte) => byte > 0);
  const bad = box.left + 1 + 160.5;
  canvas.dispatchEvent(new PointerEvent("pointermove",
    { clientX: bad, clientY: box.bottom - 1 - 306.5, bubbles: true }));
  results.blank = figure.querySelector(".readout").textContent.includes("no data");

  document.querySelectorAll("canvas.view")[1].click();
  const dialog = document.querySelector("dialog");
  results.enlarged = dialog.open && dialog.querySelector("canvas.view").width > 300;
  dialog.close();

  results.problem = document.querySelectorAll("p.error").length === 1;

  // What is saved: names, and sizes in the resolution of the report.
  const saved = {};
  let width = 0;
  HTMLCanvasElement.prototype.toBlob = function (done) {
    width = this.width;
    done(new Blob());
  };
  HTMLAnchorElement.prototype.click = function () { saved[this.download] = width; };
  button("Save as PNG").click();
  document.querySelector("h3 button.save").click();
  document.querySelector(".chart button.save").click();

  const before = document.querySelector(".uplot canvas").toDataURL();
  document.querySelector(".chart .key").click();
  document.querySelector("nav.contents button").click();
  setTimeout(() => {
    results.saved = Object.keys(saved).sort().join() === "patch_overview.png,white_overlay.png,zp_vs_mag__r.png";
    results.picture_size = saved["white_overlay.png"] > 1900;
    results.grid_size = saved["patch_overview.png"] > 1700;
    results.chart_size = saved["zp_vs_mag__r.png"] > 1400;
    results.redrawn = document.querySelector(".uplot canvas").toDataURL() !== before;
    const failed = Object.keys(results).filter((name) => !results[name]);
    document.body.dataset.used = failed.length === 0 ? "well" : "not: " + failed.join(" ");
  }, 400);
}, 300));
