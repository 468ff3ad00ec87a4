"""Style of the report's page: light and dark, as the reader's device has it.

Contrast of text is 4.5 to 1 at least (WCAG 2.2, 1.4.3). Unknown is hatched: no matter of colour.
"""

from __future__ import annotations

STYLE = """
:root {
  --page: #f4f5f3; --card: #ffffff; --text: #1b2430; --soft: #525c6b; --rule: #d7dbe0;
  --accent: #0a6b62; --band: #b9ded6; --hatch: #6d7683;
  --l0: #eceef0; --l1: #d0ebe3; --l2: #ade0d3; --l3: #84cfbf; --l4: #57b9a8;
  --l5: #2f9e8e; --l6: #178074; --l7: #0c625a; --l8: #064640;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161b; --card: #1b2027; --text: #e7ebf0; --soft: #a9b3c0; --rule: #343c47;
    --accent: #6fd6c4; --band: #24514d; --hatch: #8a94a2;
    --l0: #262d36; --l1: #173f3c; --l2: #17544e; --l3: #196b62; --l4: #208577;
    --l5: #2fa191; --l6: #4dbdab; --l7: #7cd8c7; --l8: #b6f2e5;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, "Noto Sans JP", "Hiragino Sans", "Yu Gothic UI", sans-serif;
}
main { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0; overflow-wrap: anywhere; }
header p, footer p, section p { color: var(--soft); font-size: .9rem; margin: .25rem 0 .75rem; }
section, .facts div {
  background: var(--card); border: 1px solid var(--rule); border-radius: .75rem;
}
section { padding: 1rem; margin: 1rem 0; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1rem 0;
}
.facts div { padding: .75rem 1rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: .15rem 0 0; font-size: 1.1rem; font-weight: 600; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.scroll:focus-visible, summary:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px;
}
svg { display: block; }
svg text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.l0 { fill: var(--l0); } .l1 { fill: var(--l1); } .l2 { fill: var(--l2); }
.l3 { fill: var(--l3); } .l4 { fill: var(--l4); } .l5 { fill: var(--l5); }
.l6 { fill: var(--l6); } .l7 { fill: var(--l7); } .l8 { fill: var(--l8); }
.unknown { fill: url(#hatch); stroke: var(--hatch); stroke-width: .5; }
.part { fill: none; stroke: var(--hatch); stroke-dasharray: 2 2; }
.hatch { stroke: var(--hatch); stroke-width: 1.5; }
.grid { stroke: var(--rule); stroke-width: 1; fill: none; }
.band { fill: var(--band); } .span { stroke: var(--band); stroke-width: 4; }
.mean { fill: none; stroke: var(--accent); stroke-width: 1.75; stroke-linejoin: round; }
.dot { fill: var(--accent); }
.legend {
  display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: .75rem 0; padding: 0;
  color: var(--soft); font-size: .85rem;
}
.legend li { display: flex; align-items: center; gap: .4rem; }
details { margin-top: .5rem; }
summary { cursor: pointer; color: var(--accent); font-size: .9rem; padding: .35rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td {
  padding: .3rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule);
}
th:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; }
.words td { text-align: left; } .words th { text-align: left; }
footer p { margin-top: 1.5rem; }
@media (max-width: 40rem) {
  main { padding: 1rem .5rem 2rem; }
  section { padding: .75rem; }
  #heat { width: 38rem; height: auto; }
}
"""
