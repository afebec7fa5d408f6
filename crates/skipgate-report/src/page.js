"use strict";

// Everything that can be shown is in the page; this only moves it about. A mask is a text of 0 and 1 as on the command
// line, and what is known of a mask is on the radio button that has it.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const radios = all("input[name=configuration]");
  const blocks = all("button[data-gate]").sort((a, b) => a.dataset.gate - b.dataset.gate);
  const marks = all("g.mark[data-mask]");
  const dial = document.getElementById("dial");
  const command = document.getElementById("command");
  const known = new Map(radios.map((radio) => [radio.dataset.mask, radio]));
  const front = radios.filter((radio) => radio.dataset.argument.startsWith("--config"));
  const start = blocks.map((block) => (block.getAttribute("aria-pressed") === "true" ? "1" : "0")).join("");
  let chosen = start;

  /** `40.6 M`, as the page itself writes numbers. */
  function si(number) {
    for (const prefix of ["", " k", " M", " G"]) {
      if (number < 999.5 || prefix === " G") {
        const decimals = prefix === "" || number >= 99.95 ? 0 : number < 9.995 ? 2 : 1;
        return number.toFixed(decimals) + prefix;
      }
      number /= 1000;
    }
  }

  function fill(field, text) {
    for (const place of all(`[data-field=${field}]`)) place.textContent = text;
  }

  function showFacts(mask) {
    const radio = known.get(mask);
    const facts = radio ? radio.dataset : {
      title: mask.includes("0") ? "a mask of your own" : "all blocks", accuracy: "not measured", interval: "", latency: "not measured", speedup: "",
      percentiles: "not measured", argument: mask.includes("0") ? `--mask ${mask}` : "",
    };
    for (const field of ["title", "accuracy", "interval", "latency", "speedup", "percentiles"]) fill(field, facts[field]);
    const skipped = blocks.filter((block) => mask[block.dataset.gate] === "0");
    fill("running", String(blocks.length - skipped.length));
    fill("saved", si(skipped.reduce((sum, block) => sum + Number(block.dataset.macs), 0)));
    fill("mask", mask);
    fill("name", front.includes(radio) ? String(front.indexOf(radio)) : "–");
    if (command) command.textContent = `${document.body.dataset.run} ${facts.argument}`.trimEnd();
  }

  function showBlocks(mask) {
    for (const block of blocks) {
      const run = mask[block.dataset.gate] === "1";
      block.setAttribute("aria-pressed", String(run));
      block.querySelector(".state").textContent = run ? "run" : "skip";
    }
    for (const row of all("tr[data-row]")) {
      const run = mask[row.dataset.row] === "1";
      row.classList.toggle("skipped", !run);
      row.querySelector(".state").textContent = run ? "run" : "skip";
    }
  }

  function showPlace(mask) {
    for (const svg of all("svg.chart")) {
      const mark = [...svg.querySelectorAll("g.mark")].find((other) => other.dataset.mask === mask);
      const crosshair = svg.querySelector(".crosshair");
      crosshair.classList.toggle("hidden", !mark);
      for (const other of svg.querySelectorAll("g.mark")) other.classList.toggle("current", other === mark);
      if (!mark) continue;
      const { x, y } = mark.dataset;
      const [across, down, ring] = crosshair.children;
      across.setAttribute("x2", x); across.setAttribute("y1", y); across.setAttribute("y2", y);
      down.setAttribute("x1", x); down.setAttribute("x2", x); down.setAttribute("y1", y);
      ring.setAttribute("cx", x); ring.setAttribute("cy", y);
    }
  }

  /** Shows a mask without choosing it. */
  function show(mask) {
    showFacts(mask);
    showBlocks(mask);
    showPlace(mask);
  }

  function choose(mask) {
    chosen = mask;
    const radio = known.get(mask);
    for (const other of radios) {
      other.checked = other === radio;
      other.closest("tr").classList.toggle("current", other === radio);
    }
    const number = front.indexOf(radio);
    if (dial && number >= 0) {
      // The dial goes the way of the picture above it: to the right it takes longer.
      dial.value = front.length - 1 - number;
      dial.setAttribute("aria-valuetext", `${radio.dataset.title}: ${radio.dataset.accuracy}, ${radio.dataset.latency}`);
    }
    show(mask);
  }

  for (const radio of radios) {
    radio.addEventListener("change", () => choose(radio.dataset.mask));
    // The whole row is a place to click, and to look at.
    const row = radio.closest("tr");
    row.addEventListener("click", () => choose(radio.dataset.mask));
    row.addEventListener("pointerenter", () => show(radio.dataset.mask));
    row.addEventListener("pointerleave", () => show(chosen));
  }
  for (const mark of marks) {
    mark.addEventListener("click", () => choose(mark.dataset.mask));
    mark.addEventListener("pointerenter", () => show(mark.dataset.mask));
    mark.addEventListener("pointerleave", () => show(chosen));
  }
  dial?.addEventListener("input", () => choose(front[front.length - 1 - dial.value].dataset.mask));
  for (const block of blocks) {
    block.addEventListener("click", () => {
      const gate = Number(block.dataset.gate);
      choose(chosen.slice(0, gate) + (chosen[gate] === "1" ? "0" : "1") + chosen.slice(gate + 1));
    });
  }
  for (const button of all("button.copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      // A page opened from a file may have no clipboard; then the text is selected, to be copied by hand.
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  document.documentElement.classList.add("ready");
  choose(start);
})();
