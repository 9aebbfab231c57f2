"use strict";
const form = document.getElementById("filter");
if (form) {
  const rows = [...document.querySelectorAll("ol.rows > li")];
  const lists = [...document.querySelectorAll(".list")];
  const told = document.getElementById("told");
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const fits = (row, wanted) => {
    const {why, model} = row.closest(".list").dataset;
    return (!wanted.why || why === wanted.why)
      && (!wanted.model || model === wanted.model)
      && (!wanted.status || row.dataset.status === wanted.status)
      && (!wanted.label || row.dataset.labels.split(" ").includes(wanted.label))
      && (!wanted.text || textOf(row).includes(wanted.text));
  };
  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    wanted.text = (wanted.text || "").trim().toLowerCase();
    let seen = 0;
    for (const row of rows) {
      row.hidden = !fits(row, wanted);
      seen += row.hidden ? 0 : 1;
    }
    for (const list of lists) list.hidden = !list.querySelector("ol.rows > li:not([hidden])");
    const all = rows.length.toLocaleString("en");
    told.textContent = seen === rows.length ? `All ${all} rows are shown.` : `${seen.toLocaleString("en")} of ${all} rows are shown.`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  apply();
}
