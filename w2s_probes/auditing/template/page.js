"use strict";
const audit = JSON.parse(document.getElementById("rows").textContent);
const rows = audit.rows;
const key = "w2s-audit-" + audit.checksum;
const part = (name) => document.getElementById(name);
let answers = {}, history = [], at = 0, kept = true, saved = true;

function restore() {
  try {
    const text = localStorage.getItem(key);
    if (text === null) return;
    const found = JSON.parse(text);
    for (const [row, answer] of Object.entries(found.answers)) {
      if (Number(row) in rows && (answer === 0 || answer === 1)) answers[row] = answer;
    }
    history = found.history.filter((step) => Array.isArray(step) && step[0] in rows);
    at = Number.isInteger(found.at) && found.at in rows ? found.at : 0;
    const count = Object.keys(answers).length;
    if (count) say(`Goes on where you were: ${count} answers from before.`);
  } catch (error) {
    answers = {}; history = []; at = 0;
  }
}

function keep() {
  try {
    localStorage.setItem(key, JSON.stringify({ answers, history, at }));
  } catch (error) {
    kept = false;
  }
}

function say(text, warning = false) {
  part("said").textContent = text;
  part("said").classList.toggle("warning", warning);
}

function show() {
  const count = Object.keys(answers).length;
  part("text").textContent = rows[at].text;
  part("text").scrollTop = 0;
  part("place").textContent = `Row ${at + 1} of ${rows.length}`;
  part("answered").textContent = `${count} answered`;
  part("done").style.width = `${100 * count / rows.length}%`;
  part("bar").setAttribute("aria-valuemax", rows.length);
  part("bar").setAttribute("aria-valuenow", count);
  part("zero").setAttribute("aria-pressed", answers[at] === 0);
  part("one").setAttribute("aria-pressed", answers[at] === 1);
  part("back").disabled = at === 0;
  part("on").disabled = at === rows.length - 1;
  part("undo").disabled = history.length === 0;
}

function go(to) {
  at = Math.min(rows.length - 1, Math.max(0, to));
  keep();
  show();
}

function give(answer) {
  history.push([at, at in answers ? answers[at] : null]);
  answers[at] = answer;
  saved = false;
  const count = Object.keys(answers).length;
  go(at + 1);
  if (count === rows.length) say("Every row is answered: save the CSV.");
  else if (!kept) say("This browser keeps nothing: save the CSV before you close the page.", true);
  else say("");
}

function undo() {
  if (!history.length) return;
  const [row, before] = history.pop();
  if (before === null) delete answers[row];
  else answers[row] = before;
  saved = false;
  say(`Row ${row + 1} is as it was.`);
  go(row);
}

function gap() {
  for (let step = 1; step <= rows.length; step++) {
    const row = (at + step) % rows.length;
    if (!(row in answers)) return go(row);
  }
  say("Every row is answered.");
}

function csv() {
  const cell = (value) => `"${String(value).replace(/"/g, '""')}"`;
  const lines = ["id,truth,order,stratum,inclusion_probability,design,checksum"];
  rows.forEach((row, i) => {
    const truth = i in answers ? String(answers[i]) : "";
    const fields = [row.order, cell(row.stratum), row.inclusion, cell(audit.design), audit.checksum];
    lines.push([cell(row.id), truth, ...fields].join(","));
  });
  return lines.join("\n") + "\n";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
  link.download = audit.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  saved = true;
  const left = rows.length - Object.keys(answers).length;
  say(left ? `Saved ${audit.file}; ${left} rows have no answer yet.` : `Saved ${audit.file}: every row is answered.`);
}

const deeds = {
  0: () => give(0), 1: () => give(1), u: undo, n: gap, s: save,
  ArrowLeft: () => go(at - 1), ArrowRight: () => go(at + 1),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && "01".includes(event.key)) return;
  const deed = deeds[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!deed) return;
  event.preventDefault();
  deed();
});
const buttons = { zero: "0", one: "1", back: "ArrowLeft", on: "ArrowRight", undo: "u", gap: "n", save: "s" };
for (const [name, deed] of Object.entries(buttons)) part(name).addEventListener("click", deeds[deed]);
window.addEventListener("beforeunload", (event) => { if (!kept && !saved) event.preventDefault(); });
restore();
keep();
if (!kept) say("This browser keeps nothing: save the CSV before you close the page.", true);
show();
