#include "report/style.h"

namespace assize::report {

const char* const kStyle = R"css(
:root { color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1c1c1a; --soft: #66655f; --line: #dddcd5; --faint: #f3f2ed;
  --accent: #1f5f8b; --band: #1f5f8b26; --human: #b9b7ad; --warn: #a3360a; --good: #2d6a3e;
  --p0: #1f5f8b; --p1: #c9842b; --p2: #8f5b9c; --p3: #b9b7ad; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #161614; --ink: #e6e4dd; --soft: #a09e95; --line: #393832; --faint: #21201d;
  --accent: #74b3dd; --band: #74b3dd2e; --human: #5f5d55; --warn: #ec8a5f; --good: #86c497;
  --p0: #74b3dd; --p1: #dba25a; --p2: #bf92ca; --p3: #5f5d55; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums lining-nums; }
main, header, footer { max-width: 1040px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 44px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 600; margin: 0 0 4px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 21px; font-weight: 600; margin: 60px 0 2px; padding-top: 18px; border-top: 2px solid var(--ink); overflow-wrap: anywhere; }
h3 { font-size: 13px; font-weight: 600; margin: 32px 0 8px; }
p { margin: 0 0 8px; max-width: 72ch; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; }
.meta, .note, figcaption { color: var(--soft); font-size: 13px; }
.meta { margin-bottom: 18px; overflow-wrap: anywhere; max-width: none; }
.findings { margin: 22px 0 30px; padding: 0; list-style: none; max-width: 80ch; }
.findings li { padding: 7px 0 7px 14px; border-left: 3px solid var(--line); margin: 0 0 6px; font-size: 16px; }
.findings li.bad { border-color: var(--warn); }
.findings li.good { border-color: var(--good); }
.findings b { font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; margin: 4px 0 8px; }
th, td { text-align: left; vertical-align: top; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; font-size: 12.5px; color: var(--soft); white-space: nowrap; }
thead th { border-bottom-color: var(--ink); }
td.n, th.n { text-align: right; white-space: nowrap; }
td.v { white-space: nowrap; font-weight: 600; text-align: right; }
td.range { max-width: 9.5em; color: var(--soft); }
td.rule { color: var(--soft); font-size: 13px; min-width: 18em; }
td.none { color: var(--warn); }
td .note { font-size: 12px; white-space: nowrap; }
table.wide { width: 100%; }
table.confusion td, table.confusion th { text-align: right; padding: 7px 10px; min-width: 58px; }
table.confusion thead th { white-space: normal; vertical-align: bottom; }
table.confusion th:first-child { text-align: left; padding-left: 0; }
table.confusion td.hit { font-weight: 600; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); column-gap: 44px; }
.panels > div { min-width: 0; }
.full { grid-column: 1 / -1; }
figure { margin: 0; }
svg { display: block; max-width: 100%; height: auto; font: 12px system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
td svg { margin-top: 4px; min-width: 120px; }
td:first-child { min-width: 15em; }
table.figures th { white-space: normal; vertical-align: bottom; }
table.figures td:first-child { min-width: 0; }
abbr { text-decoration: underline dotted var(--human); text-underline-offset: 3px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .reference { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
svg .interval { stroke: var(--accent); stroke-width: 1.6; }
svg .dot { fill: var(--accent); }
svg .curve { fill: none; stroke: var(--accent); stroke-width: 1.6; }
svg .band { fill: var(--band); }
svg .judge { fill: var(--accent); } svg .human { fill: var(--human); }
svg .label { fill: var(--ink); } svg .value { fill: var(--ink); } svg .tick { fill: var(--soft); }
svg .part-0 { fill: var(--p0); } svg .part-1 { fill: var(--p1); } svg .part-2 { fill: var(--p2); } svg .part-3 { fill: var(--p3); }
.key { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 8px 0 0; padding: 0; list-style: none; font-size: 13px; color: var(--soft); }
.key li::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-right: 6px; background: var(--c); }
.key .k0 { --c: var(--p0); } .key .k1 { --c: var(--p1); } .key .k2 { --c: var(--p2); } .key .k3 { --c: var(--p3); } .key .kh { --c: var(--human); }
.key b { color: var(--ink); font-weight: 600; }
.facts { display: grid; grid-template-columns: max-content auto; gap: 3px 22px; margin: 6px 0; font-size: 14px; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; }
.filter { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; margin: 14px 0; font-size: 14px; }
.filter label { white-space: nowrap; }
.filter input[type=search] { font: inherit; color: inherit; background: var(--faint); border: 1px solid var(--line); padding: 5px 9px; width: 240px; }
details { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: 9px 0; display: flex; gap: 16px; align-items: baseline; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: "+"; color: var(--soft); width: 10px; flex: none; }
details[open] > summary::before { content: "–"; }
summary .id { font-weight: 600; width: 17em; flex: none; overflow-wrap: anywhere; }
summary .said { min-width: 20em; }
summary .why { color: var(--soft); font-size: 13px; }
.paper { display: none; }
@media (max-width: 700px) { summary { flex-wrap: wrap; gap: 2px 16px; } summary .id { width: auto; flex: 1 1 80%; } summary .said { min-width: 0; } td:first-child { min-width: 9em; } table.figures { font-size: 13px; } table.figures th, table.figures td { padding-right: 10px; } }
.more { margin: 18px 0; color: var(--soft); }
.more button { font: inherit; color: var(--accent); background: none; border: 1px solid var(--line); padding: 4px 10px; cursor: pointer; }
.miss { color: var(--warn); }
.item { padding: 4px 0 22px 26px; }
.item h4 { font-size: 12.5px; font-weight: 600; color: var(--soft); margin: 16px 0 4px; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--faint); padding: 10px 13px; margin: 0; max-height: 26em; overflow: auto; font: inherit; font-size: 14px; unicode-bidi: plaintext; }
.candidates { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); gap: 0 20px; }
.think { color: var(--soft); }
.item img { max-width: min(320px, 100%); max-height: 320px; display: inline-block; margin: 4px 10px 4px 0; vertical-align: top; }
pre.job { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; background: var(--faint); padding: 12px 14px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; padding-top: 44px; padding-bottom: 56px; }
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --faint: #fff; --accent: #124a70; --band: #124a7022; --human: #bbb; --warn: #8a2c07;
    --good: #1f5a30; --p0: #124a70; --p1: #c9842b; --p2: #8f5b9c; --p3: #bbb; }
  body { font-size: 10.5pt; } main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  .filter { display: none; } h2, h3, .meta { break-after: avoid; } figure, tr, .findings li { break-inside: avoid; }
  @page { margin: 16mm 14mm; }
  .scroll { overflow: visible; } table { font-size: 9pt; } th, td { padding: 3px 9px 3px 0; } td.range { white-space: normal; min-width: 9.5em; } table.confusion td, table.confusion th { padding: 4px 5px; min-width: 0; } td .note { white-space: normal; font-size: 7.5pt; }
  td:first-child { min-width: 10.5em; } td.rule { min-width: 0; } td svg { min-width: 70px; } td.rule, th { font-size: 8pt; } th { white-space: normal; }
  .panels { grid-template-columns: 1fr 1fr; column-gap: 24px; } h2 { margin-top: 30px; } h3 { margin-top: 16px; }
  .panels > div { break-inside: avoid; } .panels > .full { break-inside: auto; }
  summary { padding: 4px 0; } summary::before { content: ""; width: 0; } .paper { display: block; } #items > :nth-child(n+41), .more { display: none; }
  .text { max-height: none; border-left: 2px solid var(--line); } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";

const char* const kScript = R"js(
(function () {
  var list = document.getElementById('items'), more = document.getElementById('more'), loaded = 0;
  var search = document.getElementById('search'), shown = document.getElementById('shown');
  var boxes = [].slice.call(document.querySelectorAll('.filter input[name=why]'));
  if (!search) return;
  function apply() {
    var items = [].slice.call(list.children), words = search.value.toLowerCase(), mask = 0, count = 0;
    boxes.forEach(function (box) { if (box.checked) mask |= +box.value; });
    items.forEach(function (item) {
      var hit = (+item.dataset.why & mask) !== 0 && (!words || item.textContent.toLowerCase().indexOf(words) >= 0);
      item.hidden = !hit;
      if (hit) count++;
    });
    shown.textContent = count + ' of ' + items.length;
  }
  boxes.concat([search]).forEach(function (input) { input.addEventListener('input', apply); });
  document.querySelector('.filter').hidden = false;
  if (more) {
    var button = more.querySelector('button');
    window.assizeItems = function (items) {
      list.insertAdjacentHTML('beforeend', items.join(''));
      button.disabled = false;
      if (++loaded >= +more.dataset.files) more.hidden = true;
      apply();
    };
    button.addEventListener('click', function () {
      var script = document.createElement('script');
      script.nonce = 'assize-report';
      script.src = 'report-data/' + ('0000' + loaded).slice(-5) + '.js';
      script.onerror = function () { more.textContent = script.src + ' is missing.'; };
      button.disabled = true;
      document.head.appendChild(script);
    });
    button.hidden = false;
  }
  apply();
})();
)js";

}  // namespace assize::report
