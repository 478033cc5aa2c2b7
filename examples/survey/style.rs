//! The style sheet of the report.

/// Everything is inline, so that the report is one file that can be sent and kept.
pub const STYLE: &str = r#"
:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--ink:#1b2230;--soft:#5b6577;
--faint:#8a93a3;--line:#e4e7ec;--track:#eceff3;--accent:#2f5fd0;--good:#23855a;--concern:#c2572b;
--l:47%;--s:52%;--rib:.5;
--c0:#3b6fd8;--c1:#e08a3c;--c2:#2f9e83;--c3:#b0569c;--c4:#c9a227;--c5:#6a64c8;--c6:#cf5b5b;--c7:#4b9cc4;--cx:#9aa3b2}
@media (prefers-color-scheme:dark){:root{--page:#11141a;--card:#191e27;--ink:#e6e9ef;--soft:#a3adbd;
--faint:#76808f;--line:#2a313d;--track:#262d38;--accent:#86a8ff;--good:#5cc496;--concern:#f0915f;
--l:62%;--s:55%;--rib:.42;
--c0:#6e9bff;--c1:#f0a55e;--c2:#52c4a7;--c3:#d583c3;--c4:#dfbf55;--c5:#9a94f0;--c6:#ee8787;--c7:#77c1e6;--cx:#717b8b}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1160px;margin:0 auto;padding:56px 28px 72px}
h1,h2,.num{font-family:ui-serif,"Iowan Old Style","Palatino Linotype",Palatino,Georgia,"DejaVu Serif",serif}
h1{font-size:clamp(34px,5vw,52px);line-height:1.08;margin:4px 0 14px;font-weight:600;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:25px;margin:0 0 4px;font-weight:600;letter-spacing:-.01em}
h3{font-size:14px;margin:0 0 10px;font-weight:650}
h3 small{font-weight:400;color:var(--faint);margin-left:6px}
p{margin:0}
.kicker{color:var(--accent);font-weight:650;font-size:13px;letter-spacing:.09em;text-transform:uppercase}
.lead{font-size:19px;line-height:1.5;color:var(--soft);max-width:44em}
.hint{color:var(--soft);margin-bottom:18px;max-width:52em}
section{margin-top:52px}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:20px 22px}
.keys{display:grid;grid-template-columns:repeat(auto-fit,minmax(146px,1fr));gap:12px;margin-top:32px}
.keys .card{padding:16px 18px 14px}
.num{white-space:nowrap;font-size:27px;line-height:1.15;font-variant-numeric:lining-nums tabular-nums;letter-spacing:-.01em}
.keys p{color:var(--soft);font-size:13px;line-height:1.35;margin-top:3px}
.findings{list-style:none;margin:0;padding:0;columns:2;column-gap:44px}
.findings li{break-inside:avoid;padding:7px 0 7px 22px;position:relative;overflow-wrap:anywhere}
.findings li::before{content:"";position:absolute;left:2px;top:15px;width:9px;height:9px;border-radius:50%;background:var(--faint)}
.findings .good::before{background:var(--good)}.findings .concern::before{background:var(--concern)}
.strip{display:flex;height:16px;border-radius:8px;overflow:hidden;gap:2px;margin-bottom:20px;background:var(--card)}
.strip i{display:block;min-width:2px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-size:12px;font-weight:500;color:var(--faint);text-align:right;padding:0 0 8px 16px;white-space:nowrap}
td{padding:7px 0 7px 16px;border-top:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.wide{width:44%;min-width:170px}td.quiet,.quiet{color:var(--soft)}
.dot{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:9px}
.bar{display:flex;height:12px;border-radius:6px;overflow:hidden;background:var(--track)}
.bar i{display:block;height:100%}.bar .cm{opacity:.5}.bar .bl{opacity:.2}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;color:var(--soft);font-size:13px;margin-top:14px}
.legend i{display:inline-block;width:18px;height:9px;border-radius:4px;background:var(--c0);margin-right:7px}
.split{display:grid;grid-template-columns:minmax(0,2.15fr) minmax(0,1fr);gap:16px;align-items:stretch}
.pair{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px;align-items:start}
.chord{display:block;width:100%;height:auto;max-height:820px}
.stack>.card{margin-bottom:16px}.stack>.card:last-child{margin-bottom:0}.chart{padding:14px;display:flex;align-items:center}
.chord text{font-size:15px;fill:var(--ink)}
.part{transition:opacity .15s}
.ribbon{fill:hsl(var(--h) var(--s) var(--l));fill-opacity:var(--rib)}
.ribbon.faint,.folded .ribbon{fill-opacity:.16}
.band{fill:hsl(var(--h) var(--s) var(--l))}
.folded .band,.folded .ribbon{fill:var(--cx)}.folded text{fill:var(--soft)}
.chord:hover .part{opacity:.14}.chord .part:hover{opacity:1}.chord .part:hover .ribbon{fill-opacity:.75}
ol.rank{list-style:none;margin:0;padding:0}
.rank li{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0 14px;padding:6px 0 7px;position:relative;border-top:1px solid var(--line)}
.rank li:first-child{border-top:0}
.rank b{font-weight:500;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.rank .v{font-variant-numeric:tabular-nums;font-weight:600}
.rank small,.place{grid-column:1/-1;color:var(--faint);font-size:12.5px;line-height:1.4;overflow-wrap:anywhere}
.rank .b{grid-column:1/-1;height:3px;border-radius:2px;background:var(--track);margin-top:5px}
.rank .b i{display:block;height:100%;border-radius:2px;background:var(--accent);opacity:.75}
details{margin-top:8px}summary{cursor:pointer;color:var(--accent);font-size:13px;padding:4px 0}
.list{list-style:none;margin:0;padding:0}.list>li{padding:10px 0;border-top:1px solid var(--line);overflow-wrap:anywhere}
.list>li:first-child{border-top:0;padding-top:2px}
.tag{display:inline-block;font-size:11px;font-weight:700;letter-spacing:.04em;border-radius:5px;padding:1px 7px;margin-right:8px;background:var(--track);color:var(--soft)}
.tag.hot{background:var(--concern);color:var(--card)}
code,.place,.rank small{font-family:ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{font-size:13px}.place,.rank small{font-size:12px}
.place{display:block}
.chips{display:flex;flex-wrap:wrap;gap:8px}
.chips span{background:var(--track);border-radius:8px;padding:3px 10px;font-size:13.5px}
.chips em{font-style:normal;color:var(--soft);margin-left:6px;font-variant-numeric:tabular-nums}
.timeline{overflow-x:auto}.timeline svg{display:block;max-width:100%;height:auto}
footer{margin-top:56px;color:var(--faint);font-size:13px;border-top:1px solid var(--line);padding-top:18px}
@media (max-width:860px){.split,.pair{grid-template-columns:minmax(0,1fr)}.findings{columns:1}main{padding:32px 16px 48px}}
@media print{body{background:#fff}.card{break-inside:avoid}}
"#;
