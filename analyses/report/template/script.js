"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const column = head.cellIndex;
    const body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    const numeric = head.classList.contains("n");
    const rows = Array.from(body.rows, (row) => {
      const cell = row.cells[column];
      const given = cell.dataset.v === undefined ? cell.textContent : cell.dataset.v;
      return { row, missing: given === "", value: numeric ? Number(given) : given };
    });
    const compare = numeric
      ? (a, b) => a.value - b.value || 0
      : (a, b) => a.value.localeCompare(b.value, "en", { numeric: true });
    rows.sort((a, b) => {
      if (a.missing || b.missing) return a.missing - b.missing;
      return down ? compare(b, a) : compare(a, b);
    });
    body.append(...rows.map((one) => one.row));
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  });
}
