// Shows in words what one points at, and follows a click back along its causes. Without it the page still has titles.
"use strict";
const reader = document.getElementById("reader");
const space = document.getElementById("space");
const words = (g) => g.querySelector("title")?.textContent ?? g.textContent;
const byNumber = new Map();
for (const g of space.querySelectorAll("g[data-n]")) {
  const same = byNumber.get(g.dataset.n) ?? [];
  same.push(g);
  byNumber.set(g.dataset.n, same);
}
let pinned = null;
function follow(g) {
  const seen = new Set();
  const told = [];
  for (let n = g.dataset.n; n !== undefined && !seen.has(n); ) {
    seen.add(n);
    const same = byNumber.get(n) ?? [];
    same.forEach((one) => one.classList.add("on"));
    if (same.length > 0) told.push(words(same[0]).split("\n").pop());
    n = same.find((one) => one.dataset.c !== undefined)?.dataset.c;
  }
  return told;
}
function release() {
  space.classList.remove("following");
  space.querySelectorAll(".on").forEach((one) => one.classList.remove("on"));
  pinned = null;
  reader.textContent = "";
}
function pin(g) {
  const again = pinned === g.dataset.n;
  release();
  if (again) return;
  pinned = g.dataset.n;
  space.classList.add("following");
  reader.textContent = follow(g).join("\nbecause: ");
}
space.addEventListener("click", (event) => {
  const g = event.target.closest("g[data-n]");
  if (g) pin(g); else release();
});
space.addEventListener("mouseover", (event) => {
  const g = event.target.closest("g[data-n]");
  if (g && pinned === null) reader.textContent = words(g);
});
space.addEventListener("mouseleave", () => { if (pinned === null) reader.textContent = ""; });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") release(); });
for (const step of document.querySelectorAll("#chain li[data-n]")) {
  step.addEventListener("click", () => {
    const [g] = byNumber.get(step.dataset.n) ?? [];
    if (!g) return;
    release();
    pin(g);
    g.scrollIntoView({ block: "center", inline: "center" });
  });
}
