//! How the page looks, in light and dark surroundings.

/// Every pair of text and ground has a contrast of at least 4.5 to 1.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --paper: #f6f8fa; --card: #ffffff; --ink: #1b1f24; --soft: #57606a;
  --line: #d0d7de; --good: #1a7f37; --bad: #cf222e; --note: #9a6700; --before: #bc4c00;
  --after: #0550ae; --on: #ffffff; --mark: #ffd8b5; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --card: #161b22; --ink: #e6edf3;
  --soft: #9198a1; --line: #30363d; --good: #238636; --bad: #da3633; --note: #d29922;
  --before: #f0883e; --after: #79c0ff; --mark: #7d3c00; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.45 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 12px; }
p { margin: .3rem 0; }
h1 { margin: 0; font-size: 2rem; line-height: 1.15; letter-spacing: .02em; }
h2 { margin: 0 0 .6rem; font-size: 1.15rem; }
h3 { margin: 0 0 .2rem; font-size: 1rem; }
header { border-radius: 12px; padding: 16px; color: var(--on); margin-bottom: 12px; }
header.good { background: var(--good); }
header.bad { background: var(--bad); }
header .subject { font-size: .85rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 14px 16px; margin-bottom: 12px; }
section.alarm { border-color: var(--bad); border-width: 2px; }
code, .mono { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  font-size: .86em; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.small { font-size: .85rem; }
dl.facts { display: grid; grid-template-columns: fit-content(40%) minmax(0, 1fr); gap: .25rem .9rem;
  margin: 0; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .5rem .3rem 0;
  border-top: 1px solid var(--line); }
th, td.number { overflow-wrap: normal; }
td.number { white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
table.ledgers { margin-top: .7rem; }
table.ledgers td { overflow-wrap: anywhere; }
ul.plain { list-style: none; margin: 0; padding: 0; }
ul.plain > li { padding: .35rem 0 .35rem 1.7rem; border-top: 1px solid var(--line);
  text-indent: -1.7rem; overflow-wrap: anywhere; }
ul.plain > li:first-child { border-top: 0; }
.sign { display: inline-block; width: 1.7rem; text-indent: 0; font-weight: 700; }
.sign.good { color: var(--good); } .sign.bad { color: var(--bad); } .sign.none { color: var(--note); }
@media (prefers-color-scheme: dark) { .sign.good { color: #56d364; } .sign.bad { color: #ff7b72; } }
.check { border-top: 1px solid var(--line); padding: .5rem 0; }
.check p { margin: .1rem 0; overflow-wrap: anywhere; }
.failure { border-top: 1px solid var(--line); padding: .8rem 0 .5rem; }
.failure:first-of-type { border-top: 0; padding-top: 0; }
.pair { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem .7rem;
  margin: .4rem 0; }
.pair > span { color: var(--soft); }
.pair code { white-space: pre-wrap; word-break: break-all; }
mark { background: var(--mark); color: inherit; border-radius: 3px; font-weight: 700; }
.detail { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; margin: .3rem 0 0;
  padding: .5rem .7rem; background: var(--paper); border-radius: 8px; }
details { border-top: 1px solid var(--line); }
details:first-of-type { border-top: 0; }
summary { cursor: pointer; padding: .55rem 0; font-weight: 600; }
summary .soft { font-weight: 400; }
.tag { display: inline-block; padding: 0 .5em; border-radius: 1em; border: 1px solid currentColor;
  font-size: .78rem; font-weight: 600; white-space: nowrap; }
.tag.bad { color: var(--bad); } .tag.none { color: var(--note); } .tag.good { color: var(--good); }
@media (prefers-color-scheme: dark) { .tag.good { color: #56d364; } .tag.bad { color: #ff7b72; } }
figure { margin: .4rem 0 1rem; }
figure svg { display: block; width: 100%; max-width: 34rem; height: auto; }
figcaption { font-size: .85rem; color: var(--soft); margin-bottom: .3rem; }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; }
svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; fill: none; }
svg .before { fill: var(--before); } svg .after { fill: var(--after); }
svg path.before { fill: none; stroke: var(--before); stroke-width: 7; stroke-opacity: .45;
  stroke-linejoin: round; }
svg path.after { fill: none; stroke: var(--after); stroke-width: 2; stroke-linejoin: round; }
.keys { display: inline-block; white-space: nowrap; }
.key { display: inline-block; width: .9em; height: .9em; border-radius: 3px; vertical-align: -.1em; }
.key.before { background: var(--before); } .key.after { background: var(--after); }
";
