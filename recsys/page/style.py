"""The one style sheet: light and dark by the reader's preference, one column on a phone, light on paper."""

COLOURS = 6
"""Series that have a colour of their own; further ones begin again."""


def colour(hue: int | None) -> str:
    """The class of what is drawn in a colour; None is grey."""
    return "grey" if hue is None else f"c{hue % COLOURS}" + (" odd" if hue % 2 else "")


CSS = """\
:root {
  color-scheme: light dark;
  --ground: #f7f7f5; --sheet: #ffffff; --ink: #1f252d; --soft: #59626e; --rule: #e2e3e0;
  --loud: #8a3b00; --loud-ground: #fff1e2;
  --hue0: #2d5f9e; --hue1: #c0651a; --hue2: #2b7d69; --hue3: #8655a3; --hue4: #a63d57; --hue5: #6b6f2a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --sheet: #1c2025; --ink: #e4e7eb; --soft: #a0a8b3; --rule: #333941;
    --loud: #ffc48a; --loud-ground: #3a2613;
    --hue0: #7fabe3; --hue1: #e79d5d; --hue2: #67bea6; --hue3: #c19adb; --hue4: #e88aa0; --hue5: #b9bd6c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 2.5rem) 4rem; max-width: 72rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums lining-nums;
}
h1, h2, h3 { line-height: 1.25; font-weight: 600; text-wrap: balance; overflow-wrap: anywhere; }
h1 { margin: 0 0 .75rem; font-size: 1.75rem; letter-spacing: -.01em; }
h2 { margin: 2.75rem 0 .75rem; font-size: 1.2rem; }
h3 { margin: 0; font-size: 1rem; }
p { margin: 0 0 1rem; max-width: 44rem; }
section > p, figcaption p, footer { color: var(--soft); }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: .2em; text-decoration-thickness: 1px; }
a:hover { text-decoration-color: currentColor; }
.lead { margin-bottom: 1.25rem; font-size: 1.15rem; text-wrap: pretty; }
nav ul { display: flex; flex-wrap: wrap; gap: .4rem; margin: 1.25rem 0 0; padding: 0; font-size: .875rem; }
nav li { list-style: none; }
nav a {
  display: block; padding: .3rem .8rem; border: 1px solid var(--rule); border-radius: 1rem;
  background: var(--sheet); text-decoration: none;
}
nav a:hover { border-color: var(--soft); }
.sheet, figure, .card, .tiles > div {
  background: var(--sheet); border: 1px solid var(--rule); border-radius: .5rem;
}
.banner {
  margin: 0 0 1.25rem; padding: .75rem 1rem; border: 2px solid var(--loud); border-radius: .5rem;
  background: var(--loud-ground); color: var(--loud);
}
.banner strong { display: block; font-size: 1.1rem; }
header { margin-top: 4.5rem; padding-top: 1.5rem; border-top: 3px solid var(--ink); }
header h2 { margin-top: 0; font-size: 1.5rem; }
.tiles { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); margin: 0; }
.tiles > div { padding: .7rem 1rem; }
.tiles dt { color: var(--soft); font-size: .875rem; }
.tiles dd { margin: 0; font-size: 1.4rem; font-weight: 600; }
.facts { margin: 0; padding: .35rem 1rem; }
.facts > div { display: grid; gap: 0 1.5rem; grid-template-columns: minmax(8rem, 15rem) 1fr; padding: .4rem 0; }
.facts > div + div { border-top: 1px solid var(--rule); }
.facts dt { color: var(--soft); overflow-wrap: anywhere; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.sheet { overflow-x: auto; max-width: 48rem; }
table { width: 100%; border-collapse: collapse; }
caption { padding: .6rem 1rem 0; color: var(--soft); font-size: .875rem; text-align: left; }
th, td { padding: .4rem 1rem; text-align: left; vertical-align: baseline; font-weight: 400; }
thead th { color: var(--soft); font-size: .875em; border-bottom: 1px solid var(--rule); vertical-align: bottom; }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
.sheet tbody th { position: sticky; left: 0; background: var(--sheet); }
.n { text-align: right; white-space: nowrap; }
thead .n { white-space: normal; }
small { display: block; color: var(--soft); font-size: .8125em; font-weight: 400; }
.named { display: flex; align-items: baseline; gap: .6rem; }
.named .key { flex: none; }
.badge {
  display: inline-block; padding: 0 .45em; border-radius: .6em; font-size: .75rem;
  color: var(--loud); background: var(--loud-ground);
}
.stacked { max-width: none; }
.stacked th, .stacked td { padding-inline: .6rem; }
.stacked tr > :first-child { padding-left: 1rem; }
.stacked tr > :last-child { padding-right: 1rem; }
.stacked .bare { vertical-align: top; }
.stacked .quiet { color: var(--soft); }
pre { margin: 0; font: .8125rem/1.6 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; }
.card { margin-top: 1rem; }
.card > summary { padding: .8rem 1rem; font-size: 1rem; color: var(--ink); }
.card > summary .named { display: inline-flex; vertical-align: top; }
.card > div { padding: 0 1rem 1rem; scroll-margin-top: 4rem; }
.card .sheet { max-width: none; border: 0; padding: 0; }
.card .facts { font-size: .9375rem; }
.card .facts > div { grid-template-columns: minmax(7rem, 11rem) 1fr; }
.halves { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.grid {
  display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr));
}
figure {  /* caption, drawing and numbers share the rows of the figures beside it */
  margin: 0; padding: 1rem 1rem .75rem; min-width: 0; align-self: stretch;
  display: grid; grid-row: span 3; grid-template: subgrid / minmax(0, 1fr); gap: 0; align-content: start;
}
.grid > .sheet.sheet { grid-row: span 3; max-width: none; margin: 0; align-self: start; }
figcaption p { margin: .15rem 0 0; font-size: .875rem; line-height: 1.45; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .5rem 0 0; padding: 0; font-size: .875rem; }
.legend li { display: flex; align-items: center; gap: .45rem; list-style: none; }
.key { width: .8rem; height: .8rem; border-radius: 2px; background: var(--colour); print-color-adjust: exact; }
.key.line { width: 1.4rem; height: 0; border-radius: 0; border-top: 2px solid var(--colour); background: none; }
.key.dot { width: .7rem; height: .7rem; border-radius: 50%; }
.key.dot.grey { background: none; border: 2px solid var(--colour); }
.grey { --colour: var(--soft); }
.c0 { --colour: var(--hue0); } .c1 { --colour: var(--hue1); } .c2 { --colour: var(--hue2); }
.c3 { --colour: var(--hue3); } .c4 { --colour: var(--hue4); } .c5 { --colour: var(--hue5); }
.odd.line { border-top-style: dashed; }
svg { display: block; width: 100%; height: auto; margin: .6rem 0 .3rem; print-color-adjust: exact; }
svg text { font-size: 12px; fill: var(--soft); }
svg .rule { stroke: var(--rule); }
svg .axis { stroke: var(--soft); }
svg rect { fill: var(--colour); }
svg polyline { fill: none; stroke: var(--colour); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg polyline.odd { stroke-dasharray: 5 5; }
svg polyline.grey { stroke-dasharray: 2 4; }
svg polygon { fill: var(--colour); opacity: .14; }
svg .whisker { stroke: var(--colour); stroke-width: 2; stroke-linecap: round; }
svg circle.grey { fill: var(--sheet); stroke: var(--colour); stroke-width: 1.5; }
svg text.name { fill: var(--ink); stroke: var(--sheet); stroke-width: 4px; paint-order: stroke; }
svg.strip { width: 9rem; margin: 0; }
svg circle { fill: var(--colour); stroke: var(--sheet); stroke-width: 1.5; }
summary { color: var(--soft); font-size: .875rem; cursor: pointer; }
summary:focus-visible, .sheet:focus-visible { outline: 2px solid var(--hue0); outline-offset: 2px; }
figure table { margin-top: .4rem; font-size: .875rem; }
figure th, figure td { padding: .2rem .5rem; }
figure .sheet { border: 0; }
section > details > .sheet { margin-top: .5rem; }
.grid + details { margin-top: 1rem; }
.sheet + .sheet, .sheet + details, details + details, .grid + .sheet, section > p + .grid { margin-top: 1rem; }
.card details + details { margin-top: .35rem; }
.card details > .sheet { margin: .4rem 0 .8rem; }
.card .halves { margin-bottom: .6rem; align-items: start; }
.halves > .sheet.sheet { margin: 0; }
nav + .tiles, .lead + .tiles { margin-top: 1.25rem; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--rule); font-size: .875rem; }
@media (max-width: 36rem) {
  body { padding-top: 1.5rem; }
  h1 { font-size: 1.4rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .facts > div { grid-template-columns: 1fr; }
  .facts dt { font-size: .875rem; }
  .card table, figure table { font-size: .8125rem; }
  .card :is(th, td), figure :is(th, td) { padding: .3rem .35rem; }
  .card .facts > div { grid-template-columns: 8.5rem 1fr; }
  th, td { padding: .4rem; }
  .sheet table { font-size: .875rem; }
  figure { padding: .9rem .75rem .6rem; }
  .stacked thead { display: none; }
  .stacked tr { display: grid; grid-template-columns: 1fr 1fr; gap: .1rem 1rem; padding: .8rem 1rem; }
  .stacked tr + tr { border-top: 1px solid var(--rule); }
  .stacked tbody tr > :is(th, td):nth-child(n) { padding: .15rem 0; border: 0; text-align: left; }
  .stacked tbody th, .stacked .bare { grid-column: 1 / -1; width: auto; }
  .stacked td[data-name]:not([data-name=""])::before {
    content: attr(data-name); display: block; color: var(--soft); font-size: .75rem;
  }
  .stacked td:empty { display: none; }
  svg.strip { width: min(100%, 14rem); }
  svg text { font-size: 14px; }
}
@media print {
  body { max-width: none; padding: 0; background: none; font-size: 10pt; }
  figure, .banner, .tiles, tr, .facts > div { break-inside: avoid; }
  h2 { break-after: avoid; }
  .grid { grid-template-columns: 1fr 1fr; }
  nav, figure details, .card details:not([open]) { display: none; }
  .card { break-inside: avoid; }
  .sheet { overflow: visible; }
}
"""
