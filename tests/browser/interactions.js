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
  results.counts = [...keys].map((key) => key.querySelector(".count").textContent).join() === "207,13,6";
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
  const bad = box.left + 1 + 160.5;
  canvas.dispatchEvent(new PointerEvent("pointermove",
    { clientX: bad, clientY: box.bottom - 1 - 306.5, bubbles: true }));
  results.blank = figure.querySelector(".readout").textContent.includes("no data");

  document.querySelectorAll("canvas.view")[1].click();
  const dialog = document.querySelector("dialog");
  results.enlarged = dialog.open && dialog.querySelector("canvas.view").width > 300;
  dialog.close();

  const before = document.querySelector(".uplot canvas").toDataURL();
  document.querySelector(".chart .key").click();
  document.querySelector("nav.contents button").click();
  setTimeout(() => {
    results.redrawn = document.querySelector(".uplot canvas").toDataURL() !== before;
    const failed = Object.keys(results).filter((name) => !results[name]);
    document.body.dataset.used = failed.length === 0 ? "well" : "not: " + failed.join(" ");
  }, 200);
}, 300));
